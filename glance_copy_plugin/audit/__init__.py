# SPDX-License-Identifier: Apache-2.0

"""Comparing what is recorded with what is there, and repairing it."""
