# SPDX-License-Identifier: Apache-2.0
# common.sh - what quickstart, test and bench share: words, packages, build, stage. To be sourced; POSIX sh.
# Needs ROOT (the checkout). Sets nothing outside the names below and cgw_*.
# shellcheck shell=sh disable=SC2034 # the names are for those who source this

# What building and running needs, Debian 12 names. README.md says why each.
cgw_packages_build='autoconf automake gcc g++ libc6-dev libconfig-dev libcurl4-openssl-dev libgmime-3.0-dev libical-dev libjansson-dev
libmicrohttpd-dev libphonenumber-dev libpq-dev libre-dev librem-dev libseccomp-dev libsmpp34-dev libsodium-dev libssl-dev libtool libxml2-dev make pkg-config tzdata zlib1g-dev'
cgw_packages_run='espeak-ng postgresql-15 python3 util-linux'
cgw_packages_test='libcriterion-dev openssl curl faketime sip-tester'
cgw_packages_lint='clang clang-tidy cppcheck' # for scripts/test --all; the level skips what is not there

# Postfix is a peer of e-mail tests, never a service here. It would push out another mail server of this machine: then it is left away.
cgw_packages_mail() {
	if command -v sendmail >/dev/null 2>&1 || [ -x /usr/sbin/sendmail ]; then
		[ -n "$(cgw_missing postfix)" ] && return 0
	fi
	echo postfix
}

cgw_now() { date +%s; }

# cgw_step NAME TEXT SECONDS - one line of the story
cgw_step() { printf '%-11s%s  %s s\n' "$1" "$2" "$3"; }

cgw_die() { # STATUS TEXT
	printf '%s: %s\n' "${0##*/}" "$2" >&2
	exit "$1"
}

# Names of packages (of "$@") that are not installed.
cgw_missing() {
	for cgw_p in "$@"; do
		cgw_s=$(dpkg-query -W -f '${db:Status-Status}' "$cgw_p" 2>/dev/null) || cgw_s=
		[ "$cgw_s" = installed ] || printf '%s ' "$cgw_p"
	done
}

# apt-get as root, with nothing that begins to listen: policy-rc.d answers 101 ("action forbidden") while it runs.
# shellcheck disable=SC2016 # expanded by the sh that runs it
cgw_install_sh='set -e
export DEBIAN_FRONTEND=noninteractive
p=/usr/sbin/policy-rc.d
[ -e $p ] && mv $p $p.before-campgw
back() { rm -f $p; if [ -e $p.before-campgw ]; then mv $p.before-campgw $p; fi; }
trap back EXIT
trap "exit 130" INT TERM
printf "#!/bin/sh\nexit 101\n" >$p
chmod 755 $p
apt-get -qq install --no-install-recommends -y "$@" || { apt-get -qq update && apt-get -qq install --no-install-recommends -y "$@"; }'

# cgw_need LOG PACKAGE... - installs what is missing; exit 3 with the line to type when it may not. Sets cgw_note.
cgw_need() {
	cgw_log=$1
	shift
	cgw_note="all $# there"
	command -v dpkg-query >/dev/null 2>&1 || {
		cgw_note='not a Debian: packages not checked'
		return 0
	}
	cgw_lack=$(cgw_missing "$@")
	[ -n "$cgw_lack" ] || return 0
	cgw_line="apt-get install --no-install-recommends -y $cgw_lack"
	[ -z "${NO_INSTALL:-}" ] || cgw_die 3 "packages are missing; type: $cgw_line"
	cgw_sudo=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 || cgw_die 3 "packages are missing; as root type: $cgw_line"
		cgw_sudo='sudo'
		sudo -n true 2>/dev/null || [ -t 0 ] || cgw_die 3 "packages are missing; type: sudo $cgw_line"
	fi
	# shellcheck disable=SC2086 # words are wanted
	set -- $cgw_lack
	printf '%-11s%s missing: %s\n' packages $# "$cgw_lack"
	$cgw_sudo sh -c "$cgw_install_sh" install "$@" >"$cgw_log" 2>&1 </dev/null || {
		tail -n 20 "$cgw_log" >&2
		cgw_die 3 "installing failed; try: ${cgw_sudo:+sudo }$cgw_line"
	}
	cgw_note="$# installed"
	case " $* " in *' postgresql-15 '*) cgw_note="$cgw_note (PostgreSQL's own service was not started)" ;; esac
	case " $* " in *' postfix '*)
		# nor may it listen after the next start of this machine
		command -v systemctl >/dev/null 2>&1 && $cgw_sudo systemctl disable postfix >>"$cgw_log" 2>&1
		cgw_note="$cgw_note (Postfix's own service is disabled)"
		;;
	esac
}

# cgw_build DIR LOG [CONFIGURE-OPTION...] - configure when needed, make all and the simulator. Sets cgw_note.
cgw_build() {
	cgw_dir=$1 cgw_log=$2
	shift 2
	mkdir -p "$cgw_dir"
	: >"$cgw_log"
	(
		set -e
		if [ ! -x "$ROOT/configure" ] || [ -n "$(find "$ROOT/configure.ac" -newer "$ROOT/configure")" ]; then
			"$ROOT/scripts/bootstrap"
		fi
		cd "$cgw_dir"
		[ -e config.status ] || "$ROOT/configure" --quiet "$@"
		make -s -j"$(nproc)" all tests/sim/smscsim tests/sim/simctl tests/sim/mmscsim
	) >>"$cgw_log" 2>&1 || return 1
	cgw_note=$(cd "$cgw_dir" && find plugins -path '*/.libs/*.so' | sort | sed 's|.*/||; s|\.so$||' | grep -v template | tr '\n' ' ')
}

# cgw_stage BUILD STAGE LOG - make install into STAGE, only when the build is newer. True when something was installed.
cgw_stage() {
	cgw_mark="$2/.staged"
	if [ -e "$cgw_mark" ] && [ -z "$(find "$1" -newer "$cgw_mark" \( -name campgwd -o -name campgwctl -o -name smscsim -o -name mmscsim -o -name '*.so' \) -print | head -n 1)" ] &&
		[ -z "$(find "$ROOT/sql" "$ROOT/conf" "$ROOT/tests/sim" -newer "$cgw_mark" -type f -print | head -n 1)" ]; then
		return 0
	fi
	rm -rf "$2"
	mkdir -p "$2"
	make -s -C "$1" install DESTDIR="$2" >>"$3" 2>&1 || return 1
	# what an unprivileged server needs from places it may not reach, such as a checkout in /root
	mkdir -p "$2/side"
	cp "$1/tests/sim/smscsim" "$1/tests/sim/mmscsim" "$1/tests/sim/simctl" "$ROOT/tests/sim/mailsim.py" "$ROOT/tests/sim/ivrsim.py" "$ROOT/conf/optout.conf" "$2/side/"
	chmod -R a+rX "$2"
	: >"$cgw_mark"
}

# May the unprivileged servers enter this folder?
cgw_reachable() {
	[ "$(id -u)" = 0 ] || return 0
	cgw_user=postgres
	id $cgw_user >/dev/null 2>&1 || cgw_user=nobody
	setpriv --reuid="$(id -u $cgw_user)" --regid="$(id -g $cgw_user)" --clear-groups test -x "$1"
}
