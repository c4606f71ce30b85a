# SPDX-License-Identifier: Apache-2.0

"""What the tests are made with: sources, threads, file systems."""
