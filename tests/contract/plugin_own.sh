#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin_own.sh - every plugin of this build keeps every promise that campgw-plugin-check knows, inside the gateway and, if it is a
# channel, in a process of its own. From the build directory; prints TAP. What --without-NAME left out is not there to be checked.
n=0 failed=0
CAMPGW_PLUGIN_HOST=$PWD/campgw-plugin-host
export CAMPGW_PLUGIN_HOST

check() { # text, arguments of the checker
    n=$((n + 1)) text=$1
    shift
    if out=$(timeout 150 ./campgw-plugin-check "$@" 2>&1); then
        echo "ok $n - $text"
    else
        echo "not ok $n - $text"
        printf '%s\n' "$out" | grep -v -E '^(PASS|SKIP) ' | sed 's/^/# /'
        failed=$((failed + 1))
    fi
}

for file in plugins/*/.libs/*.so; do
    name=$(basename "$file" .so)
    case $name in
    channel_*) check "$name keeps its promises" "$file"; check "$name keeps them in a process of its own" --isolated "$file" ;;
    campaign_*) check "$name keeps its promises" "$file" ;;
    esac
done
[ "$n" -gt 0 ] || { n=1 failed=1; echo "not ok 1 - no plugin was built"; }
echo "1..$n"
[ "$failed" -eq 0 ]
