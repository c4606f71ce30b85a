# SPDX-License-Identifier: Apache-2.0

"""What one agent knows of the resources of a zone."""

from tests.irods_server import codes


class ResourceTable:
    """The resources as they were when the agent read them; never anew."""

    def __init__(self, catalog):
        with catalog.lock:
            self._known = dict(catalog.resources)
            self._default = catalog.default_resource
            self._up = {
                name for name, each in self._known.items() if each.up
            }

    def named(self, name):
        """Return the resource ``name``, or refuse."""
        try:
            return self._known[name]
        except KeyError:
            raise codes.IrodsError(codes.SYS_RESC_DOES_NOT_EXIST) from None

    def is_up(self, resource):
        """Tell whether a resource was there, and up."""
        return resource.name in self._up

    def to_create(self, name):
        """Return where a new object goes that is wanted on ``name``.

        The default resource, without a word, if that one is down.
        """
        wanted = self.named(name) if name else self._default
        for each in (wanted, self._default):
            if self.is_up(each):
                return each
        raise codes.IrodsError(codes.SYS_INVALID_INPUT_PARAM)
