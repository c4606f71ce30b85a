# SPDX-License-Identifier: Apache-2.0

"""What stores can do by themselves, one module for each kind."""
