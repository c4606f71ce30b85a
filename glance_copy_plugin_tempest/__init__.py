# SPDX-License-Identifier: Apache-2.0
"""A plugin for Tempest: what its own tests of copies leave out.

They copy one KiB once. These copy real sizes to stores that are named, watch
the progress, delete an image that is being copied, and copy to a store that
fails.
"""
