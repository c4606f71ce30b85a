# SPDX-License-Identifier: Apache-2.0

"""Letting a location name the place where its object lies now."""

from glance_copy_plugin.audit import words
from glance_copy_plugin.backends import drivers
from glance_copy_plugin.flow import verifying
from glance_copy_plugin.records import urls


def correct(scope, finding):
    """Record an object that was found to be at another place.

    Only one that was just read and is the image. Nobody copies the image
    meanwhile.

    :param scope: :class:`Scope`
    :param finding: :class:`Finding` with the object, and in ``place`` the URL
        that names it wrongly, or an empty string if no location does
    :returns: a few words on what was done
    """
    with scope.leased(finding.image_id) as entry:
        if entry is None:
            return words.BUSY
        image = scope.image(finding.image_id)
        if image is None:
            return words.GONE
        expected = verifying.expected_of(image)
        if expected.size is None and not expected.algorithm:
            return (
                'left alone: neither a size nor a hash is recorded that the '
                'object could be compared with'
            )
        wrong = verifying.wrong(
            drivers.location(finding.store, finding.kept.url), expected,
            scope.context, scope.on_bytes,
        )
        if wrong:
            return f'left alone: the object is not the image: {wrong}'
        if finding.place:
            changed = urls.replace(
                finding.image_id, finding.place, finding.kept.url
            )
        else:
            changed = urls.record_first(
                finding.image_id, finding.kept.url, {'store': finding.store}
            )
        return 'location corrected' if changed else words.CHANGED
