# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The switch: a filter in the paste pipeline of the Image service.

::

    [filter:copy_image]
    paste.filter_factory = glance_copy_plugin.paste:filter_factory

behind ``context`` in the pipeline in use. Loading it registers and checks the
options, pins the flow, and from then on every ``copy-image`` request passes
the rules of :mod:`glance_copy_plugin.requests` before Glance sees it.
"""

from oslo_config import cfg
from oslo_log import log as logging
import stevedore
import webob.dec
import webob.exc

from glance_copy_plugin import activation
from glance_copy_plugin import opts
from glance_copy_plugin import requests
from glance_copy_plugin.records import retry

CONF = cfg.CONF
LOG = logging.getLogger(__name__)


class CopyImageFilter:
    """Judges import requests; passes everything else on untouched."""

    def __init__(self, app, rules):
        self._app = app
        self._rules = rules

    @webob.dec.wsgify
    def __call__(self, request):
        image_id = requests.import_target(request)
        if image_id is None:
            return self._app
        try:
            answer = retry.retried(self._rules.judge)(request, image_id)
        except webob.exc.HTTPException as rejection:
            return rejection
        return answer or self._app


def filter_factory(global_conf, **local_conf):
    """Paste's way to get the filter; switches the plugin on.

    :raises RuntimeError: if the configuration cannot work, in one sentence
    """
    opts.register_opts(CONF)
    check_configuration(CONF)
    activation.activate()

    def make_filter(app):
        LOG.info('Images are copied by glance-copy-plugin in this process')
        return CopyImageFilter(app, requests.Rules(CONF))

    return make_filter


def check_configuration(conf):
    """Raise RuntimeError, in one sentence, for what can never work."""
    group = conf[opts.GROUP]
    known = stevedore.ExtensionManager(
        'glance_copy_plugin.copiers'
    ).entry_points_names()
    unknown = [name for name in group.copiers if name not in known]
    if unknown:
        raise RuntimeError(
            f'[copy_image] copiers names {", ".join(unknown)}, which is not '
            f'installed; known are {", ".join(sorted(known))}'
        )
    if not conf.enabled_backends:
        raise RuntimeError(
            'the filter copy_image needs several stores: set '
            'enabled_backends, or take the filter out of the pipeline'
        )
