# SPDX-License-Identifier: Apache-2.0

"""A Keystone session for each store, and clients of Cinder that use it."""

import os
import threading

from cinderclient import api_versions
from cinderclient.v3 import client as cinder_client
from glance_store import exceptions
from keystoneauth1 import identity
from keystoneauth1 import session as ksa_session
from keystoneauth1 import token_endpoint
from keystoneauth1.access import service_catalog

# The oldest that knows attachments with a mode, complete, and delete.
_MICROVERSION = '3.54'
# Cinder answers for some calls only when a backend has done what they ask.
_LEAST_TIMEOUT = 60


class Sessions:
    """The session of one store.

    keystoneauth gets a new token when the last one expires or is refused.
    A process that is forked gets a session of its own: connections cannot be
    shared by two.

    :param settings: :class:`CinderSettings`
    :param timeout: seconds to wait for an answer; None for what is usual
    :param retries: how often to try again to connect; None for the option
    """

    def __init__(self, settings, timeout=None, retries=None):
        self._settings = settings
        self._timeout = timeout or max(_LEAST_TIMEOUT, settings.timeout)
        self._retries = settings.retries if retries is None else retries
        self._lock = threading.Lock()
        self._session = None
        self._pid = None

    def client(self, context=None):
        """Return a client of Cinder.

        :param context: of the request, which is who asks Cinder if the
            options say nothing else
        :raises: BadStoreConfiguration if nobody can be
        """
        settings = self._settings
        return cinder_client.Client(
            session=self._shared(),
            auth=None if settings.has_own_login else self._auth_of(context),
            service_type=settings.service_type,
            service_name=settings.service_name,
            endpoint_type=settings.interface,
            region_name=settings.region,
            connect_retries=self._retries,
            retries=self._retries,
            api_version=api_versions.APIVersion(_MICROVERSION),
        )

    def _shared(self):
        with self._lock:
            if self._session is None or self._pid != os.getpid():
                self._session = ksa_session.Session(
                    auth=self._own_auth(),
                    verify=self._settings.verify,
                    timeout=self._timeout,
                )
                self._pid = os.getpid()
            return self._session

    def _own_auth(self):
        options, login = self._settings.options, self._settings.login
        if login == 'application':
            return identity.V3ApplicationCredential(
                auth_url=options.cinder_store_auth_address,
                application_credential_id=(
                    options.cinder_store_application_credential_id
                ),
                application_credential_secret=(
                    options.cinder_store_application_credential_secret
                ),
            )
        if login == 'password':
            return identity.V3Password(
                auth_url=options.cinder_store_auth_address,
                username=options.cinder_store_user_name,
                password=options.cinder_store_password,
                user_domain_name=options.cinder_store_user_domain_name,
                project_name=options.cinder_store_project_name,
                project_domain_name=options.cinder_store_project_domain_name,
            )
        return None

    def _auth_of(self, context):
        """Return the right to do what the user of a request may do."""
        settings = self._settings
        if getattr(context, 'service_catalog', None) is None:
            raise exceptions.BadStoreConfiguration(
                store_name=settings.store,
                reason='it has no login of its own, and there is no user '
                       'whose login could be used: set '
                       'cinder_store_user_name and the options for it',
            )
        template = settings.options.cinder_endpoint_template
        if template:
            url = template % context.to_dict()
        else:
            url = service_catalog.ServiceCatalogV2(
                context.service_catalog
            ).url_for(
                service_type=settings.service_type,
                service_name=settings.service_name,
                interface=settings.interface,
                region_name=settings.region,
            )
        token = context.auth_token or (
            f'{context.user_id}:{context.project_id}'
        )
        return token_endpoint.Token(endpoint=url, token=token)
