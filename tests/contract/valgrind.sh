#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# valgrind.sh BUILD-DIRECTORY - the plugin contract suite under valgrind: our plugins, which are linked with libraries that no sanitizer
# instruments, and both templates. TAP; the checker runs each clause in a child, whose errors and definite leaks fail the clause.
build=$1 source=${CGW_SRCDIR:-${srcdir:-.}}
command -v valgrind >/dev/null 2>&1 || {
    echo '1..0 # SKIP valgrind is not installed'
    exit 0
}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
CAMPGW_CHECK_SECONDS=300 # a clause has 30 s; everything is slow here
export CAMPGW_CHECK_SECONDS
n=0 failed=0

ok() { # status, text
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        tail -n 60 "$scratch/log" | sed 's/^/# /'
        failed=1
    fi
}

# Judged is what valgrind saw: its child then ends with a status that no clause has, or crashes. Whether deadlines are kept the plain
# build says; here TLS alone takes a second to initialise. The C library's own cleaning up, valgrind's wish, is not ours.
check() { # plugin
    valgrind -q --run-libc-freeres=no --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --num-callers=20 \
        "$build/campgw-plugin-check" "$1" >"$scratch/log" 2>&1
    grep -q ' passed, ' "$scratch/log" && ! grep -q -E '^FAIL .*: (ended the process with status|crashed)' "$scratch/log"
    ok $? "$(basename "$1" .so) makes no error that valgrind sees"
}

for plugin in "$build"/plugins/channel_*/.libs/channel_*.so "$build"/plugins/campaign_*/.libs/campaign_*.so; do
    [ -f "$plugin" ] && check "$plugin"
done
for kind in channel campaign; do
    plugin=$scratch/${kind}_acme.so
    if ${CC:-cc} -g -O1 -shared -fPIC -fvisibility=hidden "-I$source/core/include" -o "$plugin" \
        "$source/plugins/template_$kind/${kind}_acme.c" >"$scratch/log" 2>&1; then
        check "$plugin"
    else
        ok 1 "template_$kind builds"
    fi
done
echo "1..$n"
exit "$failed"
