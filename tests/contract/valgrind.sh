#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# valgrind.sh BUILD-DIRECTORY - the plugin contract suite under valgrind: our plugins, which are linked with libraries that no sanitizer
# instruments, and both templates. TAP; the checker runs each clause in a child, whose errors and definite leaks fail the clause.
# The checker waits for deadlines most of its time: AT_ONCE of them run side by side.
AT_ONCE=3
CAMPGW_CHECK_SECONDS=300 # a clause has 30 s; everything is slow here
export CAMPGW_CHECK_SECONDS

if [ "$1" = --one ]; then # file of its words, checker, plugin. The C library's own cleaning up, valgrind's wish, is not ours.
    valgrind -q --run-libc-freeres=no --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --num-callers=20 "$3" "$4" >"$2" 2>&1
    exit 0
fi

build=$1 source=${CGW_SRCDIR:-${srcdir:-.}}
command -v valgrind >/dev/null 2>&1 || {
    echo '1..0 # SKIP valgrind is not installed'
    exit 0
}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
n=0 failed=0

check() { # plugin; no path here has a space
    n=$((n + 1))
    basename "$1" .so >"$scratch/$n.name"
    echo "--one $scratch/$n $build/campgw-plugin-check $1" >>"$scratch/all"
}

for plugin in "$build"/plugins/channel_*/.libs/channel_*.so "$build"/plugins/campaign_*/.libs/campaign_*.so; do
    [ -f "$plugin" ] && check "$plugin"
done
for kind in channel campaign; do
    plugin=$scratch/${kind}_acme.so
    ${CC:-cc} -g -O1 -shared -fPIC -fvisibility=hidden "-I$source/core/include" -o "$plugin" \
        "$source/plugins/template_$kind/${kind}_acme.c" 2>&1 | sed 's/^/# /'
    check "$plugin" # which says so when it was not built
done
xargs -P "$AT_ONCE" -L 1 sh "$0" <"$scratch/all"

# Judged is what valgrind saw: its child then ends with a status that no clause has, or crashes. Whether deadlines are kept the plain
# build says; here TLS alone takes a second to initialise.
i=0
while [ "$i" -lt "$n" ]; do
    i=$((i + 1)) verdict="not ok"
    grep -q ' passed, ' "$scratch/$i" && ! grep -q -E '^FAIL .*: (ended the process with status|crashed)' "$scratch/$i" && verdict=ok
    echo "$verdict $i - $(cat "$scratch/$i.name") makes no error that valgrind sees"
    if [ "$verdict" != ok ]; then
        tail -n 60 "$scratch/$i" | sed 's/^/# /'
        failed=1
    fi
done
echo "1..$n"
exit "$failed"
