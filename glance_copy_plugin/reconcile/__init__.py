# SPDX-License-Identifier: Apache-2.0

"""What has to be true of an image that nobody works on, and making it true."""
