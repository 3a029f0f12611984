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

# The clause about time is not judged: everything is slow here. Its child's errors are.
check() { # plugin
    valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --num-callers=20 \
        "$build/campgw-plugin-check" "$1" >"$scratch/log" 2>&1
    grep -q ' passed, ' "$scratch/log" && ! grep '^FAIL' "$scratch/log" | grep -q -v ' operations took longer than '
    ok $? "$(basename "$1" .so) keeps the contract under valgrind"
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
