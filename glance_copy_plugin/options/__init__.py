# SPDX-License-Identifier: Apache-2.0

"""The options of the configuration, read here and handed down as data."""
