# SPDX-License-Identifier: Apache-2.0

"""Copies that the storage makes by itself, one module for each kind."""
