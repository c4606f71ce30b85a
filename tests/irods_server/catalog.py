# SPDX-License-Identifier: Apache-2.0

"""The catalog of one zone: users, resources, collections, data objects."""

import itertools
import threading

from tests.irods_server import access
from tests.irods_server import codes
from tests.irods_server import model
from tests.irods_server import vault


class Catalog:
    """What a zone knows; ``lock`` is held by whoever looks or changes."""

    def __init__(self, zone, folder, admin, hash_scheme='sha2'):
        self.zone = zone
        self.hash_scheme = hash_scheme
        self.folder = folder
        self.lock = threading.RLock()
        self.zones = {zone: self}
        self.users = {}
        self.resources = {}
        self.collections = {}
        self.objects = {}
        self.default_resource = None
        self._ids = itertools.count(10001)
        for path in (f'/{zone}', f'/{zone}/home', f'/{zone}/trash/home'):
            self.make_collections((admin, zone), path)
        for collection in self.collections.values():
            access.grant(collection, access.EVERYBODY, access.READ)

    def new_id(self):
        """Return a number that nothing else in the zone has."""
        return next(self._ids)

    def of(self, path):
        """Return the catalog of the zone that ``path`` lies in.

        A zone that this one is not federated with is looked for here, in
        vain.
        """
        return self.zones.get(model.zone_of(path), self)

    def known(self, user):
        """Return ``user``, who may be another zone's, as known here."""
        try:
            return self.users[user.key]
        except KeyError:
            raise codes.IrodsError(codes.CAT_INVALID_USER) from None

    def add_user(self, name, password=None, zone=None, **more):
        """Add a user, with a home collection and one for the trash."""
        zone = zone or self.zone
        with self.lock:
            user = model.User(self.new_id(), name, zone, **more)
            if password is not None:
                user.passwords.append(password)
            self.users[user.key] = user
            home = name if zone == self.zone else f'{name}#{zone}'
            for place in ('home', 'trash/home'):
                self.make_collections(
                    user.key, f'/{self.zone}/{place}/{home}'
                )
        return user

    def add_resource(self, name, capacity=None):
        """Add a resource; the first one is where objects go unasked."""
        with self.lock:
            resource = model.Resource(
                self.new_id(), name, self.zone,
                vault.Vault(self.folder / name, capacity),
            )
            self.resources[name] = resource
            self.default_resource = self.default_resource or resource
        return resource

    def make_collections(self, owner, path):
        """Add the collection ``path``, and those above that are missing.

        Return it.
        """
        with self.lock:
            if path in self.collections:
                return self.collections[path]
            if path.count('/') > 1:
                self.make_collections(owner, model.parent_of(path))
            collection = model.Collection(
                self.new_id(), owner, {owner: access.OWN}, path=path
            )
            self.collections[path] = collection
            return collection

    def collection(self, path):
        """Return the collection at ``path``, or refuse."""
        try:
            return self.collections[path]
        except KeyError:
            raise codes.IrodsError(codes.CAT_UNKNOWN_COLLECTION) from None

    def resource(self, name):
        """Return the resource ``name``, the default one for ''."""
        return self.resources[name] if name else self.default_resource

    def checksum(self, path, passed):
        """Return the checksum of a file.

        One that is too long for iRODS is cut, and ends in what happens to
        be behind it.
        """
        whole = vault.digest(path, passed, self.hash_scheme)
        if len(whole) <= vault.CHECKSUM_LENGTH:
            return whole
        return f'{whole[:vault.CHECKSUM_LENGTH]}\x7f{self.new_id()}'

    def visible(self, user, path, unseen):
        """Return the object at ``path`` that ``user`` may read.

        That needs the permission on its collection, too.
        """
        found = self.objects.get(path)
        if found is not None and all(
            access.may(user, each, access.READ)
            for each in (found, found.collection)
        ):
            return found
        if found is not None and user.is_admin:
            unseen = codes.CAT_NO_ACCESS_PERMISSION
        raise codes.IrodsError(unseen)

    def add_object(self, owner, path):
        """Add a data object without any replica, and return it."""
        collection = self.collections[model.parent_of(path)]
        found = model.DataObject(
            self.new_id(), owner, {owner: access.OWN},
            collection=collection, name=model.name_in(path),
        )
        self.objects[path] = found
        return found

    def add_replica(self, found, resource):
        """Add a replica of ``found`` at ``resource``, being written."""
        numbers = [replica.number for replica in found.replicas]
        replica = model.Replica(
            max(numbers, default=-1) + 1, resource,
            resource.vault.path_for(found.path),
        )
        found.replicas.append(replica)
        return replica

    def under(self, path):
        """Return the paths of all collections and objects below ``path``."""
        start = path.rstrip('/') + '/'
        return (
            [each for each in self.collections if each.startswith(start)],
            [each for each in self.objects if each.startswith(start)],
        )

    def require_quota(self, user, size):
        """Refuse ``user``, who has no quota for ``size`` bytes more."""
        if user.quota is None:
            return
        used = sum(
            replica.size for found in self.objects.values()
            for replica in found.replicas if found.owner == user.key
        )
        if used + max(size, 0) > user.quota:
            raise codes.IrodsError(codes.SYS_RESC_QUOTA_EXCEEDED)
