#!/bin/sh
# Plays the scene of docs/view.svg, the picture of the live view: servers and
# unmodified clients in a network namespace and a cgroup of their own, and
# `fault run` among them on a terminal. Prints what that shows at 0:36 of 1:00,
# with its colours. Whatever it starts ends with it, and nothing remains.
set -eu
cd "$(dirname "$0")/.."
columns=100 rows=30 # as in scripts/picture/main.go
api=10.0.3.10 db=10.0.3.20 cache=10.0.3.30 search=fd00:3::40

fail() {
	echo "error: $1" >&2
	[ $# -lt 2 ] || echo "hint: $2" >&2
	exit 1
}

# within waits up to a minute for a command to succeed.
within() {
	tries=600
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

# Part one, on the host: a folder, a cgroup, namespaces, and their end.

on_host() {
	for tool in ip unshare tmux curl nginx psql redis-server redis-cli python3 node; do
		command -v "$tool" >/dev/null || fail "$tool is missing" "sudo scripts/setup.sh test"
	done
	[ "$(id -u)" -eq 0 ] || fail "make a picture: not root" "sudo $0"
	mount=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
	[ -n "$mount" ] || fail "make a picture: no cgroup2 is mounted"

	dir=$(mktemp -d)
	cgroup=$mount/fault-picture-$$
	trap 'clean' EXIT
	trap 'exit 130' INT
	trap 'exit 143' HUP TERM
	chmod 755 "$dir" # for the servers that are not root
	mkdir "$cgroup"
	# No pid namespace: `fault` looks for clients in the host's /proc.
	# In the background, so that a signal does not wait for the end.
	unshare --net -- "$0" scene "$dir" "$cgroup" >"$dir/scene.log" &
	wait $! || {
		tail -n 20 "$dir"/*.log >&2
		fail "make a picture: the scene did not play"
	}
	cat "$dir/screen"
}

# clean ends all that runs in the cgroup, which nobody else knows.
clean() {
	signal=TERM
	tries=100
	while pids=$(cat "$cgroup/cgroup.procs") && [ -n "$pids" ]; do
		tries=$((tries - 1))
		[ "$tries" -ne 30 ] || signal=KILL # `fault` drains for 5 s
		# shellcheck disable=SC2086 # a list
		kill -s "$signal" $pids 2>/dev/null || true
		sleep 0.1
	done
	rm -rf "$dir"
	rmdir "$cgroup"
}

# Part two, in the namespace.

scene() {
	dir=$1
	echo $$ >"$2/cgroup.procs"
	ip link set lo up
	for address in "$api" "$db" "$cache"; do
		ip address add "$address/32" dev lo
	done
	ip address add "$search/128" dev lo nodad
	servers
	clients
	# What it looks like is not for the one who makes it to say.
	echo 'set -g status off' >"$dir/tmux.conf"
	tmux -S "$dir/tmux" -f "$dir/tmux.conf" new-session -d -x "$columns" -y "$rows" \
		"env -i PATH='$PATH' TERM=screen-256color LANG=C.UTF-8 ./fault run --cgroup '$2' --duration 1m \
		--upstream '*' --seed 8814402213 \
		--with-latency --latency-mean 300 --latency-stddev 50 \
		--with-bandwidth --bandwidth-rate 1 --bandwidth-unit MBps --bandwidth-sched 'start:10s,duration:35s' \
		--with-http-response --http-response-status 503 --http-response-trigger-probability 0.1 \
		--http-response-sched 'start:20s,duration:10s;start:50s' 2>'$dir/fault.log'"
	within shows "running 0:36" || { capture >"$dir/screen.log"; return 1; }
	capture -e >"$dir/screen"
}

capture() { tmux -S "$dir/tmux" capture-pane -p "$@"; }
shows() { capture | grep -q "$1"; }

servers() {
	mkdir -p "$dir/www/data"
	head -c 400000 /dev/zero >"$dir/www/data/export"
	cat >"$dir/nginx.conf" <<-END
		daemon off; master_process off; pid nginx.pid; error_log nginx.log;
		events { }
		http {
			access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
			server { listen $api:80; listen [$search]:9200; location / { return 200 "here"; } location /data/ { root www; } }
		}
	END
	nginx -p "$dir" -c nginx.conf >"$dir/nginx.out.log" 2>&1 &
	redis-server --bind "$cache" 127.0.0.1 --protected-mode no --save '' --dir "$dir" >"$dir/redis.log" 2>&1 &
	(
		umask 077
		mkdir "$dir/db"
		chown postgres "$dir/db"
	)
	cd /
	as_postgres initdb --no-sync -A trust -U postgres -D "$dir/db/data" >"$dir/initdb.log" 2>&1
	echo 'host all all 0.0.0.0/0 trust' >>"$dir/db/data/pg_hba.conf"
	as_postgres postgres -D "$dir/db/data" -c listen_addresses=$db -c unix_socket_directories= >"$dir/postgres.log" 2>&1 &
	cd "$OLDPWD"
	within psql -h "$db" -U postgres -c 'select 1' || fail "start PostgreSQL: it does not answer"
	within curl -sf "http://$api/" || fail "start nginx: it does not answer"
	within redis-cli -h "$cache" ping || fail "start Redis: it does not answer"
}

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }

# again runs a command over and over, a moment apart.
again() {
	pause=$1
	shift
	while :; do
		"$@"
		sleep "$pause"
	done >/dev/null 2>&1 </dev/null &
}

clients() {
	cat >"$dir/fetch.py" <<-END
		import socket, threading, time, urllib.request
		def again(url, pause):
		    while True:
		        try:
		            urllib.request.urlopen(url).read()
		        except OSError:
		            pass
		        time.sleep(pause)
		for url, pause in [("http://$api/", 0.1)] * 5 + [("http://$api/data/export", 0.5), ("http://$api:8443/", 7)]:
		    threading.Thread(target=again, args=(url, pause)).start()
		while True:
		    socket.socket(type=socket.SOCK_DGRAM).connect(("$db", 53))
		    time.sleep(2)
	END
	cat >"$dir/search.js" <<-END
		const again = () => require("http").get({host: "$search", port: 9200, agent: false}, r => {
			r.resume(); r.on("close", () => setTimeout(again, 150)) }).on("error", () => setTimeout(again, 150));
		for (let i = 0; i < 4; i++) again();
	END
	again 0.1 python3 "$dir/fetch.py"
	again 0.1 node "$dir/search.js"
	for _ in 1 2; do
		again 0.1 curl -s "http://$api/"
		again 0.1 psql -h "$db" -U postgres -c 'select 1'
	done
	again 0.3 redis-cli -h "$cache" ping
	again 1 redis-cli -h 127.0.0.1 ping
}

# Debian has no link to what a server of PostgreSQL needs.
for bin in /usr/lib/postgresql/*/bin; do
	PATH=$PATH:$bin
done

case $# in
0) on_host ;;
*) "$@" ;;
esac
