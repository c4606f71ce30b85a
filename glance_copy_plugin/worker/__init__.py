# SPDX-License-Identifier: Apache-2.0

"""``glance-copy-worker``: claims the copies that others have posted.

Its processes take jobs from the jobboard, take over what others leave, and
tell how they are.
"""
