# SPDX-License-Identifier: Apache-2.0

"""What a bucket of S3 and a container of Swift have in common."""

import abc

from glance_store import exceptions


class ObjectContainer(abc.ABC):
    """Where the objects of a store are, as its user may use it.

    ``kind`` is what its service calls it; ``made_by`` the option of the store
    that has it made.

    :param may_be_made: what that option says
    """

    kind = made_by = ''

    def __init__(self, name, may_be_made):
        self.name = name
        self._may_be_made = may_be_made

    @abc.abstractmethod
    def exists(self):
        """True if it is there."""

    def is_made(self):
        """False if it has to be made first.

        :raises BadStoreConfiguration: if it is not there and must not be made
        """
        if self.exists():
            return True
        if self._may_be_made:
            return False
        raise exceptions.BadStoreConfiguration(
            f'the {self.kind} {self.name} does not exist; make it, or set '
            f'{self.made_by}'
        )
