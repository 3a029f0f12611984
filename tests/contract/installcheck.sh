#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# installcheck.sh SOURCE-TREE SCRATCH-DIRECTORY - what was installed is enough to write a plugin: every public header compiles alone as
# C11 and C++17, both templates build out of tree against headers and pkg-config file, and the installed checker passes them and the
# installed plugins. Reads MAKE CC CXX PKG_CONFIG DESTDIR and the installation directories from the environment; prints TAP.
# Needs autoconf, automake and libtool, as a plugin author does. Must not look into the source tree but for the two templates.
set -u
source_tree=$1 scratch=$2
root=${DESTDIR:-}
checker=$root$bindir/campgw-plugin-check
n=0 failed=0

ok() { # status, text; log of the step in $scratch/log
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        tail -n 60 "$scratch/log" | sed 's/^/# /'
        failed=$((failed + 1))
    fi
}

quietly() {
    "$@" >"$scratch/log" 2>&1
}

rm -rf "$scratch"
mkdir -p "$scratch" || exit 1
scratch=$(cd "$scratch" && pwd)
PKG_CONFIG_PATH=$root$pkgconfigdir PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

flags=$($PKG_CONFIG --cflags campgw-plugin 2>"$scratch/log")
ok $? "campgw-plugin.pc is found"
for header in "$root$includedir"/cgw/*.h; do
    name=cgw/$(basename "$header")
    echo "#include \"$name\"" >"$scratch/alone.c"
    cp "$scratch/alone.c" "$scratch/alone.cc"
    # shellcheck disable=SC2086 # flags and compilers are lists of words
    quietly $CC -std=c11 -Wall -Wextra -Wpedantic -Werror $flags -fsyntax-only "$scratch/alone.c"
    ok $? "$name compiles alone as C11"
    # shellcheck disable=SC2086
    quietly $CXX -std=c++17 -Wall -Wextra -Wpedantic -Werror $flags -fsyntax-only "$scratch/alone.cc"
    ok $? "$name compiles alone as C++17"
done

template() { # folder, name of the module
    dir=$scratch/$1
    mkdir -p "$dir" && cp "$source_tree/plugins/$1"/* "$dir" && chmod -R u+w "$dir" || return 1
    # MAKEFLAGS and friends would tell the inner make about the outer one
    (cd "$dir" && unset MAKEFLAGS MFLAGS MAKELEVEL &&
        autoreconf -fi && ./configure CC="$CC" --with-plugindir="$dir/out" CFLAGS='-O2 -Wall -Wextra -Werror' &&
        $MAKE && $MAKE check PLUGIN_CHECK="$checker" && $MAKE install DESTDIR=) >"$scratch/log" 2>&1
    ok $? "$1 builds against the installed headers and passes campgw-plugin-check"
    [ -f "$dir/out/$2.so" ]
    ok $? "$1 installs $2.so"
}

template template_channel channel_acme
template template_campaign campaign_acme

for plugin in "$root$pkglibdir"/*.so; do
    [ "$(basename "$plugin")" != channel_smpp.so ] || continue # it wants an account; its suite is tests/contract/smpp_harness
    quietly "$checker" "$plugin"
    ok $? "installed $(basename "$plugin") passes campgw-plugin-check"
done
for program in "$root$sbindir/campgwd" "$root$bindir/campgwctl"; do
    [ -x "$program" ] || continue
    quietly "$program" --version
    ok $? "$(basename "$program") --version"
done
echo "1..$n"
[ "$failed" -eq 0 ]
