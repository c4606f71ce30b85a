# SPDX-License-Identifier: Apache-2.0

"""The copy-image import method for a stock OpenStack Image service."""
