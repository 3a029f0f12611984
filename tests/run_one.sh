#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_one.sh PROGRAM [ARGUMENT...] - one test of `make check`: bounded in time, TAP from Criterion, and no sanitizer report overlooked.
# Criterion 2.4.1 lets a test pass whose process reported a leak, so the sanitizers write into files here, and a file that is there
# after the end fails the run whatever the program said. CGW_TEST_TIMEOUT_S: default 300.
set -u
if [ "$1" = no ]; then
    echo "1..0 # SKIP python3 is not installed"
    exit 0
fi
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT

reports=log_path=$dir/report
src=${CGW_SRCDIR:-${srcdir:-.}}
CRITERION_OUTPUTS=tap:/dev/stdout
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}$reports
UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}print_stacktrace=1:$reports
TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}$reports
LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}print_suppressions=0:suppressions=$src/tests/lsan.supp
REPORTED=23
case ${1##*/} in test_*) LSAN_OPTIONS=$LSAN_OPTIONS:exitcode=$REPORTED ;; esac # another status than a failed test's
export CRITERION_OUTPUTS ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS LSAN_OPTIONS

# Criterion 2.4.1 may lose what it keeps for the .timeout of a test that is over (48 bytes). Only a leak that its library asked for itself
# is left out; no function of it can be named in lsan.supp: it is stripped, and all tests are called from it.
leaked_by_criterion() {
    awk '/: detected memory leaks/ { leaks = 1; next }
        /(ERROR|WARNING): |runtime error:/ || (/^ *#1 / && !/libcriterion\.so/) { ours = 1 }
        /^(Direct|Indirect) leak of / { n++ }
        /^ *#1 .*libcriterion\.so/ { theirs++ }
        END { exit !(leaks && n && n == theirs && !ours) }' "$1"
}

timeout -k 10 "${CGW_TEST_TIMEOUT_S:-300}" "$@"
rc=$?
for report in "$dir"/report*; do
    [ -f "$report" ] || continue
    if leaked_by_criterion "$report"; then
        [ "$rc" -ne "$REPORTED" ] || rc=0
        continue
    fi
    sed 's/^/# /' "$report"
    bad=$report
done
if [ -n "${bad:-}" ]; then
    echo "Bail out! a sanitizer reported (above)"
    exit 99
fi
if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
    echo "Bail out! not finished after ${CGW_TEST_TIMEOUT_S:-300} s"
    exit 99
fi
exit "$rc"
