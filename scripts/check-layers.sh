#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check-layers.sh [--root DIR | --self-test] - does every folder of core/ include only what it may call?
# The table below is the rule; core/README.md tells the reasons. Exit status: 0 clean, 1 breaches (one line each), 2 usage.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)

# module: folders under core/ it may include, beside its own and cgw/ (the public headers)
may='
base:
config: base
db: base
content: base plugin
address: base content
ingest: base address content
policy: base
store: base db policy
queue: base db store
plugin: base config
media: base db store
planner: base db store queue plugin
outcome: base db store policy address content media
dispatch: base queue store policy plugin outcome content address media
api: base address content ingest media policy store planner plugin
ctl: base config db address content store plugin policy
'
# header of a library: folders that may know it
libs='
libpq-fe.h: core/db
microhttpd.h: core/api
smpp34: plugins/channel_smpp tests/unit tests/fuzz
openssl/: plugins/channel_smpp core/base
libconfig.h: core/config core/content core/plugin core/ctl
jansson.h: core/api core/content core/ingest core/ctl plugins/channel_ivr
re.h: plugins/channel_ivr
rem_g711.h: plugins/channel_ivr
curl/: core/ctl plugins/channel_mms plugins/channel_email
libxml/: plugins/channel_mms tests/unit
gmime/: plugins/channel_mms plugins/channel_email
libical/: core/policy
phonenumbers/: core/address
'
# word in code: files that may use it, as patterns for case. The one way to a channel is dispatch/; plugin/ defines it, and the
# certification tool calls it on a plugin of its own without any person behind it.
words='
instance_submit: core/dispatch/* core/plugin/* core/ctl/plugin_check* tests/*
PGconn: core/db/*
'

sources() { # FOLDER...
	find "$@" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.def' \) 2>/dev/null | sort
}

allowed() { # TABLE NAME -> words behind "NAME:"
	printf '%s\n' "$1" | sed -n "s|^$2: *||p"
}

has() { # WORD LIST...
	for w in $2; do [ "$w" = "$1" ] && return 0; done
	return 1
}

check_includes() {
	for folder in core/*/; do
		m=${folder#core/} m=${m%/}
		[ "$m" = include ] && continue
		if ! printf '%s\n' "$may" | grep -q "^$m:"; then
			echo "core/$m: a new folder; say in scripts/check-layers.sh what it may call"
			continue
		fi
		ok="$m cgw $(allowed "$may" "$m")"
		sources "core/$m" | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[a-z_]+/' /dev/null | while IFS=: read -r file line text; do
			to=${text#*\"} to=${to%%/*}
			[ -d "core/$to" ] || [ "$to" = cgw ] || continue
			has "$to" "$ok" || echo "$file:$line: core/$m may not call core/$to ($text)"
		done
	done
	# a plugin sees the public headers, its own folder, and the few files beside the folders that plugins share
	sources plugins | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null | while IFS=: read -r file line text; do
		path=${text#*\"} path=${path%%\"*}
		case $path in cgw/* | config.h) continue ;; esac
		case $path in */*) shared= ;; *) shared=plugins/$path ;; esac
		[ -e "${file%/*}/$path" ] || [ -e "${shared:-/nowhere}" ] || echo "$file:$line: a plugin may include cgw/ and its own folder only ($text)"
	done
	# public headers stand alone
	sources core/include | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null | grep -v '"cgw/' | sed 's/$/: a public header may include cgw\/ only/' || true
}

check_libs() {
	printf '%s\n' "$libs" | while IFS=: read -r lib folders; do
		[ -n "$lib" ] || continue
		sources core plugins tests | xargs -r grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$lib" /dev/null | while IFS=: read -r file line text; do
			good=
			for f in $folders; do case $file in "$f"/*) good=1 ;; esac done
			case $file in tests/*) good=1 ;; esac
			[ -n "$good" ] || echo "$file:$line: $lib belongs behind $folders"
		done
	done
}

check_words() {
	printf '%s\n' "$words" | while IFS=: read -r word files; do
		[ -n "$word" ] || continue
		sources core plugins tests | xargs -r grep -nE "(^|[^A-Za-z0-9_])${word}(_[a-z]+)?([^A-Za-z0-9_]|\$)" /dev/null | grep -vE ':[[:space:]]*(/?\*|//)' | while IFS=: read -r file line _; do
			good=
			set -f
			for f in $files; do
				# shellcheck disable=SC2254 # it is a pattern
				case $file in $f) good=1 ;; esac
			done
			set +f
			[ -n "$good" ] || echo "$file:$line: $word may only be used in$files"
		done
	done
	sources core | grep -vE '^core/(store|db)/' | xargs -r grep -nE '"[[:space:]]*(SELECT [a-z*(]|INSERT INTO |UPDATE [a-z_]+ SET |DELETE FROM |CREATE (TABLE|ROLE|DATABASE) )' /dev/null |
		grep -vE '^core/ctl/' | sed 's/:\([0-9]*\):.*/:\1: SQL text belongs into core\/store/' || true
}

check() { # ROOT
	cd "$1"
	found=$({ check_includes; check_libs; check_words; } 2>&1)
	[ -z "$found" ] && return 0
	printf '%s\n' "$found"
	return 1
}

# Plants one breach of each kind and wants each to be found.
self_test() {
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	n=0
	plant() { # FILE TEXT EXPECTED
		rm -rf "$tmp/t"
		mkdir -p "$tmp/t/core/base" "$tmp/t/core/policy" "$tmp/t/core/store" "$tmp/t/core/api" "$tmp/t/core/include/cgw" "$tmp/t/plugins/x" "$tmp/t/$(dirname "$1")"
		printf '#include "base/diag.h"\n' >"$tmp/t/core/policy/fine.c"
		rmdir "$tmp/t/core/newroom" 2>/dev/null || true
		[ $n -gt 0 ] || out=$(check "$tmp/t") || {
			echo "self-test: a clean tree was refused: $out"
			exit 1
		}
		mkdir -p "$tmp/t/$(dirname "$1")"
		printf '%s\n' "$2" >"$tmp/t/$1"
		if out=$(check "$tmp/t"); then
			echo "self-test: not found: $1 $2"
			exit 1
		fi
		case $out in *"$3"*) ;; *) echo "self-test: $1: wrong words: $out"; exit 1 ;; esac
		n=$((n + 1))
	}
	plant core/policy/bad.c '#include "store/store.h"' 'core/policy may not call core/store'
	plant core/store/bad.c '#  include "api/api.h"' 'core/store may not call core/api'
	plant core/base/bad.c '#include "policy/policy.h"' 'core/base may not call core/policy'
	plant core/api/bad.c '#include <libpq-fe.h>' 'libpq-fe.h belongs behind'
	plant core/api/bad.c '    return instance_submit(inst, msgs, n);' 'instance_submit may only be used in'
	plant core/api/bad.c '    n = instance_submit_reserved(inst, msgs, n);' 'instance_submit may only be used in'
	plant core/api/bad.c 'db_query(db, "SELECT a FROM b", 0);' 'SQL text belongs'
	plant core/store/bad.h 'PGconn *conn;' 'PGconn may only be used in'
	plant plugins/x/bad.c '#include "store/store.h"' 'a plugin may include'
	plant core/include/cgw/bad.h '#include "base/diag.h"' 'a public header may include'
	plant core/newroom/a.c '#include "base/diag.h"' 'a new folder'
	echo "check-layers: self-test: $n of $n breaches found"
}

case ${1:-} in
'') check "$here" || exit 1 ;;
--root) check "${2:?--root needs a folder}" || exit 1 ;;
--self-test) self_test ;;
*) echo 'usage: check-layers.sh [--root DIR | --self-test]' >&2; exit 2 ;;
esac
