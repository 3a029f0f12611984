#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# replay.sh - runs every kept fuzz input through its target once, from the build directory. TAP, one test per target.
corpora=${srcdir:-.}/tests/fuzz/corpus
n=0 failed=0
for corpus in "$corpora"/*/; do
    name=$(basename "$corpus")
    program=tests/fuzz/replay_$name
    n=$((n + 1))
    case $name in smpp | receipt)
        if [ ! -x "$program" ]; then
            echo "ok $n - $name # SKIP built without channel_smpp"
            continue
        fi
        ;;
    mm7)
        if [ ! -x "$program" ]; then
            echo "ok $n - $name # SKIP built without channel_mms"
            continue
        fi
        ;;
    esac
    case $name in ivr_*)
        if [ ! -x "$program" ]; then
            echo "ok $n - $name # SKIP built without channel_ivr"
            continue
        fi
        ;;
    mail)
        if [ ! -x "$program" ]; then
            echo "ok $n - $name # SKIP built without channel_email"
            continue
        fi
        ;;
    esac
    set -- "$corpus"*
    if said=$("$program" "$@" 2>&1) && printf '%s\n' "$said" | grep -q -x -E "$# (inputs|files) replayed"; then
        echo "ok $n - $name: $# inputs"
    else
        echo "not ok $n - $name"
        printf '%s\n' "$said" | tail -n 40 | sed 's/^/# /'
        failed=1
    fi
done
echo "1..$n"
[ "$n" -gt 0 ] && exit "$failed"
echo "Bail out! no corpus below $corpora"
exit 99
