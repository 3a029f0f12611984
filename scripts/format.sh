#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check] [FILE...] - clang-format with the version pinned here: another one formats differently.
# Exit status: 0 done or clean, 1 files that differ (named), 2 usage, 77 no such clang-format.
set -eu
cd "$(dirname "$0")/.."
want=14
check=
case ${1:-} in
--check) check=1; shift ;;
-h | --help) echo 'usage: format.sh [--check] [FILE...]'; exit 0 ;;
-*) echo 'usage: format.sh [--check] [FILE...]' >&2; exit 2 ;;
esac
for tool in clang-format-$want clang-format; do
	command -v "$tool" >/dev/null 2>&1 && "$tool" --version | grep -q "version $want\." && break
	tool=
done
[ -n "$tool" ] || { echo "format.sh: clang-format $want is not installed (Debian: clang-format-$want)" >&2; exit 77; }
# shellcheck disable=SC2046 # names in this tree hold no blanks
[ $# -gt 0 ] || set -- $(find core plugins tests -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) | sort)
if [ -z "$check" ]; then
	"$tool" -i "$@"
	exit
fi
bad=$("$tool" --dry-run -Werror "$@" 2>&1 | sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error: code should be clang-formatted.*/\1/p' | sort -u)
[ -z "$bad" ] && exit 0
printf '%s\n' "$bad"
exit 1
