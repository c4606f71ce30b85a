# SPDX-License-Identifier: Apache-2.0

"""Settings of Sphinx for the release notes."""

extensions = [
    'openstackdocstheme',
    'reno.sphinxext',
]
project = 'glance-copy-plugin release notes'
copyright = '2026, glance-copy-plugin contributors'
master_doc = 'index'
pygments_style = 'native'
html_theme = 'openstackdocs'
openstackdocs_repo_name = 'glance-copy-plugin'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
