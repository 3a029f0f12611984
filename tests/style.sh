#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# style.sh - rules of the tree that a machine can see: who includes whom. TAP; formatting and linters: scripts/format.sh, `make lint`.
src=${srcdir:-.}
n=0 failed=0
try() { # what it shows, command
    what=$1
    shift
    n=$((n + 1))
    if said=$("$@" 2>&1); then
        echo "ok $n - $what"
    else
        echo "not ok $n - $what"
        printf '%s\n' "$said" | sed 's/^/# /'
        failed=1
    fi
}
try "every folder includes only what it may call" "$src/scripts/check-layers.sh" --root "$src"
try "the layer check finds a breach" "$src/scripts/check-layers.sh" --self-test
echo "1..$n"
exit "$failed"
