# SPDX-License-Identifier: Apache-2.0

"""What a user has to know of a copy though nothing went wrong."""

from glance_replicate import comparing
from glance_replicate import hashes
from glance_replicate import keys
from glance_replicate import records


def join(*sentences):
    """Return one text of those sentences that say something."""
    return '; '.join(filter(None, sentences))


def of_source(image):
    """Tell what the record of an image leaves to the user."""
    return join(_of_keys(image), _of_hashes(image))


def _of_keys(image):
    """Tell of an encryption key, without which the bytes are of no use."""
    ids = keys.of(image.properties)
    if not ids:
        return ''
    return (
        f'its encryption key {", ".join(ids)} is not copied, and is needed '
        f'to use the copy'
    )


def _of_hashes(image):
    """Tell if nothing says what the bytes of a source have to be."""
    _algorithm, digest = hashes.expectation(image)
    if digest is not None:
        return ''
    if image.size is None:
        return (
            'it has no hash that is known here and no size: what came could '
            'not be compared'
        )
    return (
        'it has no hash that is known here: only the size of what came could '
        'be compared'
    )


def of_unknown(image, target):
    """Tell if no hash says that two images have the same bytes."""
    if comparing.same_data(image, target) is not None:
        return ''
    return 'no hash tells whether its data is the same, only its size'


def of_empty(wanted, target, service):
    """Tell which properties without a value a target does not take."""
    left_out = sorted(
        name for name, value in wanted.properties.items()
        if value is None and name not in target.properties
    )
    if not left_out:
        return ''
    return (
        f'{service.name} takes no empty value of {", ".join(left_out)}, left '
        f'out'
    )


def of_names(fields):
    """Tell which fields the API cannot change."""
    stuck = [name for name in fields if not records.can_change(name)]
    if not stuck:
        return ''
    return (
        f'the API cannot change {", ".join(map(repr, stuck))}, whose name '
        f'begins or ends with a blank'
    )
