# SPDX-License-Identifier: Apache-2.0

"""What can go wrong with the services; each text is one clear sentence."""


class CloudError(Exception):
    """A service did not do what it has to; the end of its log follows."""


class Unavailable(CloudError):
    """This machine cannot have the services; the text says why."""
