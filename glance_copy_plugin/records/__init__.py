# SPDX-License-Identifier: Apache-2.0

"""Every read and write of Glance's records, each one short.

The only package that knows Glance's database. Nobody here holds an image in
hand while data moves: each call is one transaction of its own.
"""
