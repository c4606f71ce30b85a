# SPDX-License-Identifier: Apache-2.0

"""The switch: a filter in the paste pipeline of the Image service.

::

    [filter:copy_image]
    paste.filter_factory = glance_copy_plugin.paste:filter_factory

behind ``context`` in the pipeline in use. Loading it registers the options,
pins the flow, and checks what is configured. From then on every ``copy-image``
request passes the rules of :mod:`glance_copy_plugin.api.request_rules` before
Glance sees it.
"""

from oslo_config import cfg
from oslo_log import log as logging
import webob.dec
import webob.exc

from glance_copy_plugin import activation
from glance_copy_plugin.api import forward_request
from glance_copy_plugin.api import request_rules
from glance_copy_plugin.api import validation
from glance_copy_plugin.flow import takeover
from glance_copy_plugin.jobboard import board_client
from glance_copy_plugin.jobboard import posting
from glance_copy_plugin.jobboard import waiting_jobs
from glance_copy_plugin.ownership import service_process
from glance_copy_plugin.reconcile import stale_objects
from glance_copy_plugin.records import retry

CONF = cfg.CONF
LOG = logging.getLogger(__name__)


class CopyImageFilter:
    """Judges import requests; passes everything else on untouched."""

    def __init__(self, app, rules):
        self._app = app
        self._rules = rules
        self._by_workers = board_client.is_enabled()

    @webob.dec.wsgify
    def __call__(self, request):
        service_process.of_this().serve()
        image_id = request_rules.import_target(request)
        if image_id is None:
            return self._app
        try:
            answer = retry.retried(self._rules.judge)(request, image_id)
            if answer is not request_rules.COPY:
                return answer or self._app
            return self._accept(request, image_id)
        except webob.exc.HTTPException as rejection:
            return rejection

    def _accept(self, request, image_id):
        """Let Glance make the task, with the copy in the journal before.

        From the moment that the user is told "accepted", the copy survives
        this process.
        """
        request_id = request.context.request_id
        try:
            lease = service_process.journal().claim(image_id, request_id)
        except OSError as exc:
            LOG.error(
                'The journal of copies in %(folder)s cannot be written: '
                '%(why)s',
                {
                    'folder': service_process.journal().folder,
                    'why': exc.strerror,
                },
            )
            raise webob.exc.HTTPServiceUnavailable(
                explanation='Copies cannot be made now, because the staging '
                f'area cannot be written ({exc.strerror}): ask again when an '
                'operator has mended that.'
            ) from None
        if lease is None:
            raise request_rules.being_copied(image_id)
        if service_process.journal().closed:
            lease.remove()
            raise webob.exc.HTTPServiceUnavailable(
                explanation='Copies are not accepted now, because an operator '
                'has had them brought to their end with glance-copy drain: '
                'ask again when they are accepted again.'
            )
        if self._by_workers:
            return self._post(request, lease)
        try:
            response, begun = forward_request.ask(self._app, request, lease)
        except Exception:
            # Whether there is a task now is for the watcher to find out.
            lease.accept()
            raise
        if begun:
            lease.accept()
        else:
            lease.remove()
        return response

    def _post(self, request, lease):
        """Let Glance make the task; answer when its job is on the jobboard."""
        try:
            board_client.of_process().ping()
        except board_client.JobboardUnreachable as exc:
            lease.remove()
            raise _board_is_silent(exc) from None
        posting.of_process().expect(lease)
        try:
            response, begun = forward_request.ask(self._app, request, lease)
            if not begun:
                lease.remove()
            elif response.status_int < 400:
                posting.of_process().wait(lease)
            else:
                lease.accept()
        except board_client.JobboardUnreachable as exc:
            raise _board_is_silent(exc) from None
        except Exception:
            lease.accept()
            raise
        finally:
            posting.of_process().forget(lease)
        return response


def _board_is_silent(error):
    LOG.error('Jobboard unreachable: %s', error)
    return webob.exc.HTTPServiceUnavailable(
        explanation='Copies cannot be made now, because the jobboard that '
        'workers take them from does not answer: ask again when an operator '
        'has mended that.'
    )


def filter_factory(global_conf, **local_conf):
    """Paste's way to get the filter; switches the plugin on.

    :raises RuntimeError: if the configuration cannot work, in one sentence
    """
    activation.activate()
    validation.check(CONF)
    for sentence in validation.unknown(CONF):
        LOG.warning(sentence)
    if board_client.is_enabled():
        waiting = waiting_jobs.WaitingJobs()

        def look():
            waiting.look_after_without_workers()
            stale_objects.of_process().look_now_and_then()

        service_process.of_this().start(posting.post_again, look)
    else:
        service_process.of_this().start(
            takeover.resume,
            lambda: stale_objects.of_process().look_now_and_then(),
        )

    def make_filter(app):
        validation.check_place(app)
        LOG.info(
            'Images are copied by glance-copy-plugin %s',
            'through the jobboard' if board_client.is_enabled()
            else 'in this process',
        )
        return CopyImageFilter(app, request_rules.Rules(CONF))

    return make_filter
