# SPDX-License-Identifier: Apache-2.0

"""The TaskFlow graph of a copy, and its tasks."""
