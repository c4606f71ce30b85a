# SPDX-License-Identifier: Apache-2.0

"""Settings of Sphinx."""

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
]
project = 'glance-copy-plugin'
copyright = '2026, glance-copy-plugin contributors'
master_doc = 'index'
exclude_patterns = []
pygments_style = 'native'
html_theme = 'openstackdocs'
openstackdocs_repo_name = 'glance-copy-plugin'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
