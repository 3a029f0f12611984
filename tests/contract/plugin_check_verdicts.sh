#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin_check_verdicts.sh - campgw-plugin-check must find every broken promise of the plugin `rogue`, and nothing in good plugins.
# Usage: plugin_check_verdicts.sh CHECKER DIRECTORY-OF-ROGUE DIRECTORY-OF-LOOPBACK DIRECTORY-OF-BROADCAST; prints TAP.
checker=$1 rogue=$2/rogue.so rogue_campaign=$2/rogue_campaign.so
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
n=0 failed=0
AT_ONCE=3 # sinners beside each other: the checker waits nearly all of its time, and looks thrice at what was late

ok() { # status, text
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=$((failed + 1))
    fi
}

# What a sinner makes a sanitizer say is expected: it goes away, not to the file that fails the run. A leak still changes the exit
# status.
finds() { # sin, clause
    ask judge "$1" "$2" --option "sin=$1" "$rogue"
}

finds_in_campaign() { # sin, clause
    ask judge "$1" "$2" --content "{\"text\": \"hello\", \"sin\": \"$1\"}" "$rogue_campaign"
}

asked=0
ask() { # a function that says "STATUS TEXT" and remarks, its arguments; the next `tell` passes it on
    asked=$((asked + 1))
    "$@" >"$scratch/$asked" &
    [ $((asked % AT_ONCE)) -ne 0 ] || wait
}

tell() {
    wait
    i=0
    while [ "$i" -lt "$asked" ]; do
        i=$((i + 1))
        read -r status text <"$scratch/$i"
        ok "$status" "$text"
        sed 1d "$scratch/$i"
    done
    asked=0
}

judge() { # sin, clause, arguments of the checker
    sin=$1 clause=$2
    shift 2
    out=$(ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=stderr" \
        UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=stderr" \
        TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=stderr" "$checker" --only "$clause" "$@" 2>/dev/null)
    [ $? -eq 1 ] && printf '%s\n' "$out" | grep -q "^FAIL $clause: ."
    echo "$? $sin is found by $clause"
    [ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/# /'
}

good() { # text, arguments of the checker
    text=$1
    shift
    said=$("$checker" "$@")
    rc=$?
    echo "$rc $text"
    [ "$rc" -eq 0 ] || printf '%s\n' "$said" | grep -v -E '^(PASS|SKIP) ' | sed 's/^/# /'
}

passes() { # as good
    ask good "$@"
}

isolated() { # sin
    "$checker" --isolated --option "sin=$1" --only submit.one_result_per_message "$rogue" >/dev/null
    [ $? -eq 1 ]
    echo "$? $1 is found there too"
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
finds no_memory_check memory.create_survives
finds no_memory_run memory.run_survives
finds leak destroy.gives_everything_back
finds leak_fd destroy.gives_everything_back
finds early destroy.before_start
finds trusts_timer services.may_refuse
finds greedy credit.withdrawn
finds repeats receipts.taken_once
finds waits_stored stored.late_and_out_of_order
finds wall_clock clock.may_be_set
finds cancel_twice cancel.at_every_stage
finds drain_loses drain.at_every_stage
finds global instances.stay_apart
finds accepts_all submit.odd_contents_are_settled
finds media_blind media.may_vanish
finds scratch check.by_many_threads
finds long_option options.at_their_limits
finds mute routes.hostile_requests
finds query_answers query.anything
finds recall_more recall.anything

finds_in_campaign counts render.repeats
finds_in_campaign shared pure.runs_in_parallel
finds_in_campaign stops render.rows_of_every_shape
finds_in_campaign neighbours render.one_by_one
finds_in_campaign swallows render.builder_refuses
finds_in_campaign state step.states_of_every_shape
finds_in_campaign insists step.outputs_refuse
finds_in_campaign forgets step.outputs_refuse
finds_in_campaign overflows scan.at_its_limits
finds_in_campaign memory memory.survives
ask judge clock pure.looks_at_arguments_only "$2/rogue_clock.so"
passes "without a sin the same campaign passes" --content '{"text": "hello"}' "$rogue_campaign"

passes "without a sin the same plugin passes" "$rogue"
passes "channel_loopback passes" "$3/channel_loopback.so"
for plugin in "$rogue" "$3/channel_loopback.so"; do
    passes "$(basename "$plugin") passes in a process of its own" --isolated "$plugin"
done
for sin in double silent unknown_token; do
    ask isolated "$sin"
done
passes "campaign_broadcast passes" "$4/campaign_broadcast.so"
tell
"$checker" --json "$4/campaign_broadcast.so" | python3 -c 'import json, sys; r = json.load(sys.stdin); sys.exit(not r["passed"] or r["failed"])'
ok $? "--json is JSON and says the same"
"$checker" --json --certificate "$scratch/cert" "$rogue" >"$scratch/json"
python3 - "$scratch/json" "$scratch/cert" "$rogue" <<'EOF'
import hashlib, json, sys
report, text = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
digest = hashlib.sha256(open(sys.argv[3], "rb").read()).hexdigest()
assert report["sha256"] == digest and digest in text, "SHA-256 of the file"
assert (report["plugin"], report["version"], report["vendor"]) == ("rogue", "1", "fixture") and "rogue 1, channel by fixture" in text
assert report["conforms"] is True and text.rstrip().endswith("conforms"), "verdict"
assert report["figures"]["per_second"] > 0 and report["figures"]["memory_kib"] > 0 and " a second" in text
assert all(c["promise"].startswith("cgw/") for c in report["clauses"]), "each clause has its sentence"
assert all(f'  {c["clause"]}\n' in text and c["promise"] in text for c in report["clauses"])
EOF
ok $? "the certificate names file, contract, clauses and figures"
"$checker" --only submit.one_result_per_message --option sin=double --certificate "$scratch/bad" "$rogue" >/dev/null
grep -q 'DOES NOT CONFORM' "$scratch/bad"
ok $? "the certificate of a failed check says so"
"$checker" >/dev/null 2>&1
[ $? -eq 2 ]
ok $? "no file is wrong usage"
echo "1..$n"
[ "$failed" -eq 0 ]
