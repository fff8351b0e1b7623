#!/usr/bin/env bash
# Removes the network namespaces of tests that were killed. Theirs are named KIND PID "x" ..., after the process that made them;
# a living process's stay. (The end-to-end tests keep their own list, and clean up by themselves.)
set -euo pipefail
for path in /run/netns/*; do
    name=${path##*/}
    [[ $name =~ ^(fabtest|wire)([0-9]+)x ]] || continue
    [ ! -d "/proc/${BASH_REMATCH[2]}" ] || continue
    for pid in $(ip netns pids "$name"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    ip netns delete "$name"
done
