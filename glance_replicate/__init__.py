# SPDX-License-Identifier: Apache-2.0

"""The client side: images from one cloud to another, or to a directory.

Everything here speaks to Glance through its v2 API as a user does.
"""
