#!/bin/sh
# Shows the main job on this machine, in a quarter of a minute: the same curl
# command without fault, with it, and after it. Only connections to the demo's
# own server are slowed; nothing remains.
set -eu
cd "$(dirname "$0")/.."
fault=${FAULT:-./fault}
port=${PORT:-7070}
url=http://127.0.0.1:$port/

as_root=
explicit=
if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null && sudo -v; then
		as_root=sudo
	else
		echo "without root nothing can be intercepted: curl is told to use the proxy instead" >&2
		explicit="-x http://127.0.0.1:3180"
	fi
fi

dir=$(mktemp -d)
: >"$dir/server"
: >"$dir/agent"
server=
agent=
finish() {
	[ -z "$agent" ] || $as_root kill "$agent" 2>/dev/null || true
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	wait
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# started FILE TEXT waits until a program has written TEXT.
started() {
	tries=0
	until grep -q "$2" "$1"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 100 ]; then
			cat "$1" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# ask TITLE CURL-ARGUMENT... times five requests, each on a new connection.
ask() {
	printf '%s\n' "$1"
	shift
	for _ in 1 2 3 4 5; do
		curl -sS -o "$dir/page" -w '    curl %{url_effective}   %{time_total} s\n' "$@" "$url"
	done
}

"$fault" demo run 127.0.0.1 "$port" >"$dir/server" 2>&1 &
server=$!
started "$dir/server" '^demo on'
ask "before:"

set -- --with-latency --latency-mean 300 --latency-stddev 50 --upstream "127.0.0.1:$port"
printf '\n%s fault run' "${as_root:-\$}"
printf ' %s' "$@"
printf '\n'
$as_root "$fault" run --tail "$@" >"$dir/agent" 2>&1 &
agent=$!
started "$dir/agent" '^ready after'
# shellcheck disable=SC2086 # words, or nothing
ask "while it runs:" $explicit

$as_root kill "$agent"
wait "$agent" || true
agent=
sed -n '/^fault ended/,/^{/{/^{/!p}' "$dir/agent"
echo
ask "after it:"
