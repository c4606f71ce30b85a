# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Copies beyond one machine: a board of jobs that many hosts share.

The Image service posts jobs to a TaskFlow jobboard; the processes of
``glance-copy-worker`` claim them, and take over what others leave. Used when
``[copy_image] jobboard_connection`` is set; without it, each process copies
by itself and :mod:`glance_copy_plugin.recovery` keeps it safe.
"""
