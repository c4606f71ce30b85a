# SPDX-License-Identifier: Apache-2.0
"""What ``tempest.conf`` can say to these tests."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'image-copy', title='Copies of images between stores'
)
OPTIONS = [
    cfg.IntOpt(
        'size', default=64, min=1,
        help='Size in MiB of the image that is copied. Each store has to have '
             'room for it.',
    ),
    cfg.StrOpt(
        'failing_store',
        help='Name of a store that Glance enables, but that cannot be '
             'written. Without one, the tests of copies that fail in part '
             'are skipped.',
    ),
]
