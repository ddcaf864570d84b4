#!/bin/sh
# Installs what building and testing need, on Debian or Ubuntu, and is the one
# place that names the versions of tools. It assumes Go, a C toolchain and apt,
# installs only what is missing, and starts no service.
set -eu

CLANG=14 # compiles the committed BPF objects, so another one changes them
STATICCHECK=v0.8.2
TOXIPROXY=v2.12.0
MITMPROXY=11.0.2

usage() {
	cat <<'END'
usage: scripts/setup.sh build|test|bench|kernels|all...
       scripts/setup.sh version NAME

  build    what `make generate` and `make lint` need
  test     servers and clients for the end-to-end tests
  bench    the peers that are packages, to measure beside
  kernels  a virtual machine to test on other kernels
  all      all of these
  version  print the version of clang, llvm, clang-format, staticcheck,
           toxiproxy or mitmproxy
END
}

fail() {
	echo "error: $1" >&2
	[ $# -lt 2 ] || echo "hint: $2" >&2
	exit 1
}

misused() {
	echo "error: $1" >&2
	echo "hint: scripts/setup.sh --help" >&2
	exit 2
}

version() {
	case $1 in
	clang | llvm | clang-format) echo "$CLANG" ;;
	staticcheck) echo "$STATICCHECK" ;;
	toxiproxy) echo "$TOXIPROXY" ;;
	mitmproxy) echo "$MITMPROXY" ;;
	*) misused "version $1: want clang, llvm, clang-format, staticcheck, toxiproxy or mitmproxy" ;;
	esac
}

missing=

# need PACKAGES THING... notes a package to install, unless every THING is there:
# a command, or the pattern of a file. PACKAGES lists the names that the package
# has in different releases, as a|b; the first that exists is taken.
need() {
	packages=$1
	shift
	for thing; do
		if ! present "$thing"; then
			missing="$missing $packages"
			return
		fi
	done
}

present() {
	# shellcheck disable=SC2086 # the pattern is for the shell to expand
	case $1 in
	/*) ls -d $1 ;;
	# On Ubuntu a script of this name may have nothing behind it.
	bpftool) bpftool version ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

build() {
	need "clang-$CLANG" "clang-$CLANG"
	need "llvm-$CLANG" "llvm-strip-$CLANG"
	need "clang-format-$CLANG" "clang-format-$CLANG"
	need libbpf-dev /usr/include/bpf/bpf_helpers.h
	need linux-libc-dev /usr/include/linux/bpf.h
	need shellcheck shellcheck
}

tests() {
	need iproute2 ip ss tc
	need util-linux nsenter setpriv
	need sudo sudo
	need curl curl
	need openssl openssl
	need ca-certificates /etc/ssl/certs/ca-certificates.crt
	need 'nginx-light|nginx' nginx
	need postgresql '/usr/lib/postgresql/*/bin/postgres'
	need postgresql-client psql
	need redis-server redis-server
	need redis-tools redis-cli
	need python3 python3
	need python3-redis /usr/lib/python3/dist-packages/redis
	need python3-psycopg2 /usr/lib/python3/dist-packages/psycopg2
	need python3-venv '/usr/lib/python3*/ensurepip/__init__.py'
	need nodejs node
	need default-jdk-headless java javac
	need tmux tmux
	need bash-completion /usr/share/bash-completion/bash_completion
	need zsh zsh
	need fish fish
	need man-db man
	need groff-base groff
	need libcap2-bin setcap capsh
	need runc runc
	need 'bpftool|linux-tools-generic' bpftool
}

bench() {
	need haproxy haproxy
	need 'nginx-light|nginx' nginx
	need libnginx-mod-stream /usr/lib/nginx/modules/ngx_stream_module.so
	need socat socat
	need tinyproxy tinyproxy
	need squid squid
}

kernels() {
	need qemu-system-x86 qemu-system-x86_64
	need dpkg dpkg-deb
	need xz-utils xz
	need debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
}

# known prints the first of the names a|b that this release has.
known() {
	names=$1
	while [ -n "$names" ]; do
		name=${names%%|*}
		case $(apt-cache policy "$name") in
		*"Candidate: (none)"* | "") ;;
		*)
			echo "$name"
			return
			;;
		esac
		case $names in *\|*) names=${names#*|} ;; *) names= ;; esac
	done
	fail "install $1: this release has no such package" \
		"Debian 12 and Ubuntu 22.04 and 24.04 have all"
}

# forbid_services keeps packages from starting what they install, as a container
# image does. A policy that is there already stays, and must forbid it too.
policy=/usr/sbin/policy-rc.d
forbid_services() {
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		code=0
		"$policy" nginx start >/dev/null 2>&1 || code=$?
		[ "$code" -eq 101 ] || fail "install packages: $policy lets them start services" \
			"move it away for this while"
		return 0
	fi
	trap 'rm -f "$policy"' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

install_missing() {
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || fail "install$missing: no apt-get here" "install them in this system's own way"
	[ "$(id -u)" -eq 0 ] || fail "install$missing: not root" "sudo $0 $*"

	apt update
	packages=
	for names in $missing; do
		name=$(known "$names")
		packages="$packages $name"
	done
	echo "installing$packages"
	forbid_services
	# shellcheck disable=SC2086 # a list
	apt install --yes --no-install-recommends $packages </dev/null
	link_bpftool
}

# link_bpftool undoes what Ubuntu's bpftool does: it only runs the one that was
# built with the running kernel, though any does.
link_bpftool() {
	if present bpftool; then return 0; fi
	for real in /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool; do
		if [ -x "$real" ] && [ ! -e /usr/local/sbin/bpftool ]; then
			ln -s "$real" /usr/local/sbin/bpftool
		fi
	done
}

# The system's commands are there to be found, whoever asks.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

case ${1-} in
-h | --help)
	usage
	exit
	;;
version)
	[ $# -eq 2 ] || misused "version takes one name"
	version "$2"
	exit
	;;
'') misused "say what to install" ;;
esac

for group; do
	case $group in
	build) build ;;
	test) tests ;;
	bench) bench ;;
	kernels) kernels ;;
	all) build && tests && bench && kernels ;;
	*) misused "$group: want build, test, bench, kernels or all" ;;
	esac
done
install_missing "$@"
