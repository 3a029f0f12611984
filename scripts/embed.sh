#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed.sh SYMBOL FILE... - writes C with the bytes of the files to stdout: const struct embedded SYMBOL[] (core/api/embed.h).
# Needs od and awk only; the same files give the same text.
set -e
symbol=$1
shift
echo '/* made by scripts/embed.sh: do not edit */'
echo '#include "api/embed.h"'
n=0
for f in "$@"; do
	echo "static const unsigned char f$n[] = {"
	od -An -v -tu1 "$f" | awk '{ for (i = 1; i <= NF; i++) printf "%s,", $i; print "" }'
	echo '0};'
	n=$((n + 1))
done
echo "const struct embedded ${symbol}[] = {"
n=0
for f in "$@"; do
	echo "    {\"$(basename "$f")\", f$n, sizeof f$n - 1},"
	n=$((n + 1))
done
echo '    {0, 0, 0}};'
