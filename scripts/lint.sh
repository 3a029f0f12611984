#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lint.sh CLANG-TIDY SOURCE-TREE FILE... -- FLAG... - clang-tidy over the .c files among FILE, compiled with FLAGs; `make lint` calls it.
# One process per file: clang-tidy 14 invents uninitialised va_lists when it reads several. LINT_JOBS: at once, default one for each core.
# Exit status: 0 clean, 1 findings (printed), 2 usage.
set -eu
[ $# -ge 3 ] || { echo 'usage: lint.sh CLANG-TIDY SOURCE-TREE FILE... -- FLAG...' >&2; exit 2; }
tidy=$1 tree=$2
shift 2
command -v "$tidy" >/dev/null 2>&1 || { echo "lint.sh: clang-tidy 14 is not installed (Debian: clang-tidy)" >&2; exit 2; }
files=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	case $1 in *.c) files="$files $tree/$1" ;; esac
	shift
done
# shellcheck disable=SC2086 # names in this tree hold no blanks
! printf '%s\n' $files | xargs -P "${LINT_JOBS:-$(nproc)}" -I FILE "$tidy" --quiet FILE "$@" 2>&1 |
	sed -u -e '/^[0-9]* warnings\{0,1\} /d' -e '/^Suppressed /d' | grep --line-buffered .
