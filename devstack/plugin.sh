#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
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
