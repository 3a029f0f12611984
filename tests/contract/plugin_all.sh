#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin_all.sh - runs the plugin contract tests from the build directory, one TAP stream. Each program is bounded in time.
here=$(dirname "$0")
fixtures=tests/fixtures/plugins/.libs
loopback=plugins/channel_loopback/.libs
broadcast=plugins/campaign_broadcast/.libs
errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT
n=0 bad=0
CAMPGW_PLUGIN_HOST=$PWD/campgw-plugin-host
export CAMPGW_PLUGIN_HOST

# Renumbers the inner streams, so that together they are one. A plugin's own process has no environment and so no file for reports: a
# race that ends it is a crash to whoever started it, one while it ends anyway stands on stderr only.
run() {
    out=$(timeout "${CGW_TEST_TIMEOUT_S:-400}" "$@" 2>"$errors")
    rc=$?
    plan=$(printf '%s\n' "$out" | sed -n 's/^1\.\.\([0-9]*\)$/\1/p')
    seen=$(printf '%s\n' "$out" | grep -c -E '^(not )?ok ')
    printf '%s\n' "$out" | sed -n -E 's/^(not )?ok [0-9]+ - /\1ok - /p; /^#/p'
    n=$((n + seen))
    if [ "$rc" -ne 0 ] || [ "$plan" != "$seen" ]; then
        echo "not ok - $1 ended with status $rc, $seen of ${plan:-?} tests"
        n=$((n + 1)) bad=1
    fi
    if grep -q 'WARNING: ThreadSanitizer' "$errors"; then
        echo "not ok - $1 ran without a race"
        grep -A 40 'WARNING: ThreadSanitizer' "$errors" | head -n 80 | sed 's/^/# /'
        n=$((n + 1)) bad=1
    fi
}

run tests/contract/plugin_refusals "$fixtures"
run tests/contract/plugin_conf "$loopback/channel_loopback.so"
run tests/contract/plugin_host "$loopback/channel_loopback.so" "$fixtures/rogue.so"
run tests/contract/plugin_host "$loopback/channel_loopback.so" "$fixtures/rogue.so" isolated
run tests/contract/plugin_isolated "$fixtures/hostile.so" "$fixtures/hostile_v2.so" "$loopback/channel_loopback.so" \
    plugins/channel_task/.libs/channel_task.so
run tests/stress/race_base
run tests/stress/race_instance "$loopback/channel_loopback.so"
run "$here/plugin_check_verdicts.sh" ./campgw-plugin-check "$fixtures" "$loopback" "$broadcast"
echo "1..$n"
exit "$bad"
