# SPDX-License-Identifier: Apache-2.0

"""The servers of WSGI applications that Glance can be started under.

Each module has a class that knows one of them: ``start`` writes what the
server needs and starts it, ``workers`` tells which processes run Glance, and
``missing`` why it cannot be had on this machine.
"""
