# SPDX-License-Identifier: Apache-2.0

"""What requests meet: the filter of the pipeline, and the rules of copies."""
