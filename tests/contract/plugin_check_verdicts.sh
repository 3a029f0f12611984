#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin_check_verdicts.sh - campgw-plugin-check must find every broken promise of the plugin `rogue`, and nothing in good plugins.
# Usage: plugin_check_verdicts.sh CHECKER DIRECTORY-OF-ROGUE DIRECTORY-OF-LOOPBACK DIRECTORY-OF-BROADCAST; prints TAP.
checker=$1 rogue=$2/rogue.so
n=0 failed=0

ok() { # status, text
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=$((failed + 1))
    fi
}

# What a sinner makes a sanitizer say is expected: it goes to stderr, not to the file that fails the run. A leak still changes the
# exit status.
finds() { # sin, clause
    out=$(ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=stderr" \
        UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=stderr" \
        TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=stderr" "$checker" --option "sin=$1" --only "$2" "$rogue")
    [ $? -eq 1 ] && printf '%s\n' "$out" | grep -q "^FAIL $2: ."
    ok $? "$1 is found by $2"
    [ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/# /'
}

finds double submit.one_result_per_message
finds silent submit.one_result_per_message
finds unknown_token submit.one_result_per_message
finds touch submit.messages_are_borrowed
finds impure check.pure_on_any_thread
finds slow ops.under_10_ms
finds never_drained drain.ends_by_deadline
finds silent drain.ends_by_deadline
finds late drain.quiet_afterwards

"$checker" "$rogue" >/dev/null
ok $? "without a sin the same plugin passes"
"$checker" "$3/channel_loopback.so" >/dev/null
ok $? "channel_loopback passes"
for plugin in "$rogue" "$3/channel_loopback.so"; do
    "$checker" --isolated "$plugin" >/dev/null
    ok $? "$(basename "$plugin") passes in a process of its own"
done
for sin in double silent unknown_token; do
    "$checker" --isolated --option "sin=$sin" --only submit.one_result_per_message "$rogue" >/dev/null
    [ $? -eq 1 ]
    ok $? "$sin is found there too"
done
"$checker" "$4/campaign_broadcast.so" >/dev/null
ok $? "campaign_broadcast passes"
"$checker" --json "$4/campaign_broadcast.so" | python3 -c 'import json, sys; r = json.load(sys.stdin); sys.exit(not r["passed"] or r["failed"])'
ok $? "--json is JSON and says the same"
"$checker" >/dev/null 2>&1
[ $? -eq 2 ]
ok $? "no file is wrong usage"
echo "1..$n"
[ "$failed" -eq 0 ]
