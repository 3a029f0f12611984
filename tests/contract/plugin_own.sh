#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin_own.sh - every plugin of this build keeps every promise that campgw-plugin-check knows, inside the gateway and, if it is a
# channel, in a process of its own. From the build directory; prints TAP. What --without-NAME left out is not there to be checked.
# The checker waits for deadlines nearly all of its time: AT_ONCE of them run side by side.
AT_ONCE=3
CAMPGW_PLUGIN_HOST=$PWD/campgw-plugin-host
export CAMPGW_PLUGIN_HOST

if [ "$1" = --one ]; then # file of its words, arguments of the checker: exit status of the checker in FILE.status
    said=$2
    shift 2
    timeout "${CGW_TEST_TIMEOUT_S:-400}" ./campgw-plugin-check "$@" >"$said" 2>&1
    rc=$?
    grep -q 'WARNING: ThreadSanitizer' "$said" && rc=66 # in a process of its own, while it ended anyway: nobody else sees it
    echo "$rc" >"$said.status"
    exit 0
fi

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
n=0 failed=0

check() { # text, arguments of the checker; none of them has a space
    n=$((n + 1))
    echo "$1" >"$scratch/$n.text"
    shift
    echo "--one $scratch/$n $*" >>"$scratch/all"
}

for file in plugins/*/.libs/*.so; do
    name=$(basename "$file" .so)
    case $name in
    channel_*) check "$name keeps its promises" "$file"; check "$name keeps them in a process of its own" --isolated "$file" ;;
    campaign_*) check "$name keeps its promises" "$file" ;;
    esac
done
[ "$n" -gt 0 ] || { echo "not ok 1 - no plugin was built"; echo "1..1"; exit 1; }
xargs -P "$AT_ONCE" -L 1 sh "$0" <"$scratch/all"
i=0
while [ "$i" -lt "$n" ]; do
    i=$((i + 1))
    if [ "$(cat "$scratch/$i.status" 2>/dev/null)" = 0 ]; then
        echo "ok $i - $(cat "$scratch/$i.text")"
    else
        echo "not ok $i - $(cat "$scratch/$i.text")"
        grep -v -E '^(PASS|SKIP) ' "$scratch/$i" | sed 's/^/# /'
        failed=$((failed + 1))
    fi
done
echo "1..$n"
[ "$failed" -eq 0 ]
