#!/bin/sh
# Runs every experiment of examples/chaostoolkit/ with the real toolkit, on real
# servers: two network namespaces joined by a cable, PostgreSQL and the demo in
# one, the application and the toolkit in the other. They have a cgroup of their
# own, which is the topmost one for all that run in it, and end with this script.
set -eu

here=10.87.0.1
server=10.87.0.2
port=7070

root=$(cd "$(dirname "$0")/.." && pwd)
self=$root/scripts/experiments.sh
examples=$root/examples/chaostoolkit

usage() {
	cat <<END
usage: sudo scripts/experiments.sh

Environment:
  FAULT   the fault program, if it is not $root/fault
  VENV    the toolkit's virtual environment, if it is not $root/.venv
  TMPDIR  where to make a folder for the journals and logs, which stays
END
}

fail() {
	echo "error: $1" >&2
	[ $# -lt 2 ] || echo "hint: $2" >&2
	exit 1
}

# PostgreSQL's own programs are not in PATH on Debian.
for dir in /usr/lib/postgresql/*/bin; do PATH=$PATH:$dir; done
PATH=$PATH:/usr/sbin:/sbin

# until TEXT COMMAND... waits until a command succeeds, 10 s at most.
until_() {
	what=$1 tries=100
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "$what: not within 10 s" "see $lab"
		sleep 0.1
	done
}

# at_server runs a program in the other namespace.
at_server() { nsenter --net="/proc/$cable/ns/net" -- "$@"; }

as_postgres() { setpriv --reuid postgres --regid postgres --init-groups -- "$@"; }

other_net() { [ "$(readlink "/proc/$cable/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

# answers says whether a page can be had.
answers() { curl -sS -f --max-time 5 --noproxy '*' -o /dev/null "$1"; }

make_network() {
	unshare --net -- sleep infinity &
	cable=$!
	until_ "make a network namespace" other_net
	ip link add veth0 type veth peer name veth0 netns "/proc/$cable/ns/net" ||
		fail "join the namespaces: this kernel makes no veth devices" "sudo modprobe veth"
	ip address add "$here/24" dev veth0
	ip link set lo up
	ip link set veth0 up
	at_server ip address add "$server/24" dev veth0
	at_server ip link set lo up
	at_server ip link set veth0 up
	printf '127.0.0.1 localhost\n%s db.internal web.internal\n' "$server" >"$lab/hosts"
	mount --bind "$lab/hosts" /etc/hosts
}

start_database() {
	mkdir "$lab/postgres"
	chown postgres "$lab/postgres"
	(
		cd "$lab/postgres"
		as_postgres initdb --no-sync -A trust -U postgres -D data
		printf 'host all all %s/32 trust\n' "$here" >>data/pg_hba.conf
	) >"$lab/initdb.log" 2>&1 || fail "make a database" "see $lab/initdb.log"
	at_server setpriv --reuid postgres --regid postgres --init-groups -- postgres -D "$lab/postgres/data" \
		-c listen_addresses="$server" -c unix_socket_directories= -c fsync=off >"$lab/postgres.log" 2>&1 &
	until_ "PostgreSQL" psql -h db.internal -U postgres -qXAtc 'SELECT 1'
	psql -h db.internal -U postgres -qX -v ON_ERROR_STOP=1 -f "$examples/app/schema.sql"
}

start_servers() {
	start_database
	at_server "$fault" demo run "$server" "$port" >"$lab/web.log" 2>&1 &
	until_ "the web server" answers "http://web.internal:$port/"
	"$venv/bin/python" "$examples/app/orders.py" >"$lab/orders.log" 2>&1 &
	"$venv/bin/python" "$examples/app/orders.py" --port 8001 --patience 0.5 >"$lab/patient.log" 2>&1 &
	until_ "the application" answers http://127.0.0.1:8000/orders
	until_ "the patient application" answers http://127.0.0.1:8001/orders
}

# is_clean fails if a run has left anything.
is_clean() {
	! "$fault" status >/dev/null 2>&1 || fail "$name: an agent still runs"
	case $(bpftool cgroup tree "$cgroups") in
	*fault_*) fail "$name: BPF programs are still attached" ;;
	esac
	[ -z "$(ss -Hltn 'sport = :3180')" ] || fail "$name: something still listens on port 3180"
}

# ended_as prints what the toolkit says of the experiment that it ran.
ended_as() { sed -n 's/.*Experiment ended with status: //p' "$log.out"; }

# experiment NAME STATUS COMPARED FILE CHAOS-FLAG... runs one, which has to end
# with a status. COMPARED is yes if what the probes measured has to agree with
# what fault says, or no if the application hides it.
experiment() {
	name=$1 status=$2 compared=$3 file=$4
	shift 4
	log=$journals/$name
	began=$(date +%s)
	code=0
	$as "$venv/bin/chaos" --no-version-check --log-file "$log.log" validate "$file" >"$log.out" 2>&1 ||
		{ cat "$log.out" >&2 && fail "$name: not valid"; }
	$as "$venv/bin/chaos" --no-version-check --log-file "$log.log" run --journal-path "$log.json" "$@" "$file" \
		>"$log.out" 2>&1 || code=$?
	printf '%-22s %s, %s s\n' "$name" "$(ended_as)" $(($(date +%s) - began))
	told=0
	"$venv/bin/python" "$examples/journal.py" "$log.json" >"$log.txt" 2>&1 || told=$?
	if [ "$compared" = yes ]; then
		sed 's/^/  /' "$log.txt"
	else
		sed -n 's/^fault:/  &/p' "$log.txt"
	fi
	case "$code $(ended_as)" in
	"0 completed" | "1 deviated") ;;
	*) fail "$name: chaos exited with $code" "see $log.out" ;;
	esac
	[ "$(ended_as)" = "$status" ] || fail "$name: it has not $status" "see $log.out"
	[ "$compared" = no ] || [ "$told" -eq 0 ] || fail "$name: its journal does not show what it should" "see $log.json"
	is_clean
}

run_all() {
	cd "$journals"
	export TARGET="http://web.internal:$port/" PYTHONPATH="$examples"
	PATH=$lab/bin:$PATH
	as=
	experiment guide-json completed yes "$examples/guide.json"
	experiment guide-yaml completed yes "$examples/guide.yaml"
	experiment duration completed yes "$examples/duration.yaml"
	experiment verbose completed yes "$examples/verbose.yaml"
	experiment orders completed yes "$examples/orders.yaml"
	experiment orders-broken deviated yes "$examples/orders.yaml" --var delay_ms:int=3000 --var pages:int=4
	ORDERS_URL=http://127.0.0.1:8001/orders
	export ORDERS_URL
	experiment orders-patient completed no "$examples/orders.yaml" --var delay_ms:int=3000 --var pages:int=4
	as='setpriv --reuid nobody --regid nogroup --clear-groups --'
	experiment unprivileged completed yes "$examples/unprivileged.yaml"
	experiment demo completed yes "$examples/demo.yaml"
}

# in_lab is the part that runs in namespaces of its own, where it is the init.
in_lab() {
	# The kernel takes no file system twice in the same place.
	umount -l "$cgroups"
	mount -t cgroup2 none "$cgroups"
	make_network
	start_servers
	run_all
}

# topmost prints where cgroup2 is mounted.
topmost() { awk '$0 ~ / - cgroup2 / && $4 == "/" { print $5; exit }' /proc/self/mountinfo; }

check() {
	[ "$(id -u)" -eq 0 ] || fail "not root" "make experiments"
	for tool in unshare nsenter setpriv ip ss curl initdb postgres psql bpftool; do
		command -v "$tool" >/dev/null || fail "$tool is missing" "sudo scripts/setup.sh test"
	done
	[ -x "$fault" ] || fail "no fault program at $fault" "make build"
	[ -x "$venv/bin/chaos" ] || fail "no Chaos Toolkit at $venv" "make experiments"
	[ -n "$cgroups" ] || fail "no cgroup2 is mounted here"
}

clean_up() {
	code=$?
	trap '' INT TERM HUP
	# The init of a PID namespace takes all of it along.
	[ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
	wait
	tries=100
	until rmdir "$cgroup" 2>/dev/null || [ "$tries" -eq 0 ]; do
		tries=$((tries - 1))
		sleep 0.1
	done
	if [ "$code" -eq 0 ]; then
		rm -rf "$lab"
		echo "journals and logs are in $journals"
	else
		echo "journals and logs are in $journals, the logs of the servers in $lab" >&2
	fi
	exit "$code"
}

outside() {
	fault=$(realpath -m "${FAULT:-$root/fault}")
	venv=$(realpath -m "${VENV:-$root/.venv}")
	cgroups=$(topmost)
	check
	lab=$(mktemp -d)
	journals=$(mktemp -d)
	chmod 1777 "$journals" # other users run experiments, too
	mkdir "$lab/bin"
	chmod 755 "$lab" "$lab/bin"
	ln -s "$fault" "$lab/bin/fault"

	cgroup=$cgroups/fault-experiments-$$
	init=
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir "$cgroup"
	export fault venv cgroups lab journals
	# What is measured is not to wait for what else this machine does.
	# shellcheck disable=SC2016 # the inner shell expands
	nice -n -15 sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$cgroup" \
		unshare --cgroup --mount --net --pid --fork --kill-child --mount-proc -- "$self" in-lab &
	init=$!
	wait "$init"
}

case ${1-} in
'') outside ;;
in-lab) in_lab ;;
-h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
