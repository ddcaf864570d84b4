#!/bin/sh
# A lab to try things in: two network namespaces, a client's and a server's,
# joined by a cable, with the demo in the server's. The host's own network is
# not touched. `down` undoes all that `up` does.
set -eu

client=fault-client client4=10.86.0.1 client6=fd86::1
server=fault-server server4=10.86.0.2 server6=fd86::2
dev=veth0
port=7070

# The directory is also the mark that the namespaces are the lab's own.
run=/run/fault-lab

self=$0
root=$(cd "$(dirname "$0")/.." && pwd)
fault=${FAULT:-$root/fault}

usage() {
	cat <<END
usage: sudo $self up|down|status
       sudo $self shell [COMMAND...]

  up      make the namespaces $client and $server, start the demo
  shell   open a shell, or run COMMAND, in $client
  status  say what there is; exit 1 if the lab is not up
  down    end the demo, remove the namespaces

FAULT names the fault program, if it is not $root/fault.
END
}

fail() {
	echo "error: $1" >&2
	[ $# -lt 2 ] || echo "hint: $2" >&2
	exit 1
}

misused() {
	echo "error: $1" >&2
	echo "hint: $self --help" >&2
	exit 2
}

is_up() { [ -d "$run" ]; }

# inside runs a command in a namespace. `ip netns exec` would also hide the
# cgroup mount, which interception needs.
inside() {
	name=$1
	shift
	nsenter --net="/run/netns/$name" -- "$@"
}

# born prints when a process started, which tells it from a later one of the
# same pid, or nothing if it has ended, waited for or not.
born() { sed 's/.*) //; /^[ZX]/d' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# demo_pid prints the pid of the demo that up started, if it still runs.
demo_pid() {
	[ -s "$run/demo.pid" ] || return 0
	read -r pid started <"$run/demo.pid"
	[ "$(born "$pid")" != "$started" ] || echo "$pid"
}

start_demo() {
	# A session of its own: the terminal's end or Ctrl-C is not the demo's, and
	# nor is the end of this script.
	setsid nsenter --net="/run/netns/$server" -- "$run/bin/fault" demo run --stay "$server4" "$port" \
		</dev/null >"$run/demo.log" 2>&1 &
	echo "$! $(born $!)" >"$run/demo.pid"

	tries=100
	until [ -n "$(inside "$server" ss -Hltn "sport = :$port")" ]; do
		tries=$((tries - 1))
		if [ -z "$(demo_pid)" ] || [ "$tries" -eq 0 ]; then
			tail -n 5 "$run/demo.log" >&2
			fail "start the demo: $fault demo run $server4 $port does not listen"
		fi
		sleep 0.1
	done
}

stop_demo() {
	for signal in TERM KILL; do
		pid=$(demo_pid)
		[ -n "$pid" ] || return 0
		kill -s "$signal" "$pid" 2>/dev/null || true
		tries=50
		while [ -n "$(demo_pid)" ] && [ "$tries" -gt 0 ]; do
			tries=$((tries - 1))
			sleep 0.1
		done
	done
}

has() { ip netns list | grep -q "^$1\b"; }

make_namespaces() {
	for name in "$client" "$server"; do
		has "$name" || ip netns add "$name"
		ip -n "$name" link set lo up
	done
	ip -n "$client" link show "$dev" >/dev/null 2>&1 ||
		ip link add "$dev" netns "$client" type veth peer name "$dev" netns "$server" ||
		fail "join the namespaces: this kernel makes no veth devices" "sudo modprobe veth"
	set_up "$client" "$client4" "$client6"
	set_up "$server" "$server4" "$server6"
}

set_up() {
	ip -n "$1" link set "$dev" up
	ip -n "$1" address replace "$2/24" dev "$dev"
	ip -n "$1" address replace "$3/64" dev "$dev" nodad ||
		echo "note: no IPv6 in $1" >&2
}

up() {
	for tool in ip ss nsenter setsid; do
		command -v "$tool" >/dev/null || fail "$tool is missing" "sudo $root/scripts/setup.sh test"
	done
	{ [ -f "$fault" ] && [ -x "$fault" ]; } ||
		fail "no fault program at $fault" "make build, or name it: sudo FAULT=PATH $self up"
	if is_up; then
		# With one namespace gone the cable is loose: begin anew.
		{ has "$client" && has "$server"; } || down >/dev/null
	fi
	if ! is_up; then
		for name in "$client" "$server"; do
			! has "$name" || fail "a namespace $name is there already, and not of the lab" "sudo ip netns delete $name"
		done
	fi

	trap 'down >/dev/null' EXIT
	trap 'exit 130' INT
	trap 'exit 143' HUP TERM
	mkdir -p "$run/bin"
	ln -sfn "$(realpath "$fault")" "$run/bin/fault"
	make_namespaces
	[ -n "$(demo_pid)" ] || start_demo
	trap - EXIT

	cat <<END
lab is up: $client $client4 $client6 -- $server $server4 $server6

  sudo $self shell          opens a shell in $client; there:
  curl -w '%{time_total} s\n' http://$server4:$port/
  fault run --with-latency --latency-mean 300 --upstream $server4:$port --duration 1m

  sudo $self down           undoes all this
END
}

down() {
	if ! is_up; then
		echo "lab is not up"
		return 0
	fi
	stop_demo
	for name in "$client" "$server"; do
		has "$name" || continue
		pids=$(ip netns pids "$name" | tr '\n' ' ')
		[ -z "$pids" ] || echo "note: $name lasts until these end: $pids" >&2
		ip netns delete "$name"
	done
	rm -r "$run"
	echo "lab is down"
}

status() {
	if ! is_up; then
		echo "lab is not up"
		return 1
	fi
	for name in "$client" "$server"; do
		echo "$name"
		if has "$name"; then
			ip -n "$name" -brief address | sed 's/^/  /'
		else
			echo "  is missing: sudo $self up"
		fi
	done
	pid=$(demo_pid)
	if [ -n "$pid" ]; then
		echo "demo on $server4:$port, pid $pid, log $run/demo.log"
	else
		echo "demo does not run: sudo $self up"
		return 1
	fi
}

shell() {
	{ is_up && has "$client"; } || fail "lab is not up" "sudo $self up"
	[ $# -gt 0 ] || set -- "${SHELL:-/bin/sh}"
	PATH=$run/bin:$PATH
	export PATH
	exec nsenter --net="/run/netns/$client" -- "$@"
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
up | down | status)
	[ $# -eq 0 ] || misused "$command takes nothing more: $1"
	;;
shell) ;;
-h | --help)
	usage
	exit
	;;
'') misused "say what to do" ;;
*) misused "$command: want up, shell, status or down" ;;
esac
[ "$(id -u)" -eq 0 ] || fail "$command: not root" "sudo $self $command"
"$command" "$@"
