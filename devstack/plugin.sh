#!/bin/bash
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
#
# DevStack calls this with a mode and, in the mode stack, with a phase.

# shellcheck source=devstack/lib/recorded
source "$GLANCE_COPY_DIR/devstack/lib/recorded"
# shellcheck source=devstack/lib/stores
source "$GLANCE_COPY_DIR/devstack/lib/stores"
# shellcheck source=devstack/lib/jobboard
source "$GLANCE_COPY_DIR/devstack/lib/jobboard"
# shellcheck source=devstack/lib/glance-copy
source "$GLANCE_COPY_DIR/devstack/lib/glance-copy"

if is_service_enabled g-api; then
    case "$1 ${2:-}" in
        "stack install")
            echo_summary "Installing glance-copy-plugin"
            install_glance_copy
            ;;
        "stack post-config")
            echo_summary "Configuring glance-copy-plugin"
            configure_glance_copy
            ;;
        "stack extra")
            echo_summary "Initializing glance-copy-plugin"
            init_glance_copy
            ;;
        "unstack "*)
            unconfigure_glance_copy
            ;;
        "clean "*)
            cleanup_glance_copy
            ;;
    esac
fi
