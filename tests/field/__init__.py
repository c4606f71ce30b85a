# SPDX-License-Identifier: Apache-2.0

"""What users of Glance have suffered, according to public bug reports.

One small test for each thing that a report describes, named after what the
user saw or lost. A test shows that it does not happen here.
"""
