# SPDX-License-Identifier: Apache-2.0

"""Who works on a copy, as all processes of a host can see."""
