package main

import (
	"strings"

	"github.com/spf13/cobra"
)

const upstreamsTopic = `--upstream says which connections go through the faults. It may be
repeated, and be a list with commas; quote it, as ` + "`*` and `!`" + ` mean
something to shells.

  *                      everything but loopback and DNS
  db.internal            a name, on every port
  db.internal:5432       a name, on one
  *.example.com          every name below
  10.1.2.3, 10.0.0.0/8   addresses; [2001:db8::1]:443 with a port
  *:5432                 a port, wherever it is
  https://example.com/   its host and port, and nothing else of it
  !10.0.0.53             what is left out, whatever else says

Where connections are intercepted a name means the addresses that it has
had since the start. They are learnt from the DNS answers that programs
get over UDP, before they connect; answers over TCP, TLS (DoT) and HTTPS
(DoH) are not seen. A name, but not what is below a domain, is also
looked up every 5 s. Loopback and DNS are meant only if they are named,
as by localhost:5432.

Where one address has several names, the name in the client's TLS (SNI)
or HTTP (Host) decides, once it is connected. Without one there are no
faults, and that is counted; an address in --upstream needs no name.

Intercepted are new TCP connections of the network namespace in which
fault runs, if --upstream means them, or of those that --netns names: by
a name of ip netns, a path, a process in it, or self; repeated, or as a
list. What DNS answers say is learnt in all; look-ups, clients that ask
for a proxy and mappings stay in fault's own.
` + "`fault help callers`" + ` says how to have only those of some programs.

What is not meant passes through unaltered, or is left alone by the
kernel; the summary counts both, by reason.

Without --upstream, or with --transparent off, nothing is intercepted.
Clients then ask for the proxy, at --proxy-address:

  fault run --with-latency --latency-mean 300 &
  curl -x http://127.0.0.1:3180 http://example.com/
`

const callersTopic = `Whose connections are intercepted: everybody's, or only those of:

  -- COMMAND ARG...          a command that fault starts, and children
  --process nginx            processes of a name, or of such a file
  --process /usr/sbin/nginx  processes that run this file
  --pid 4711                 a process and its children, now and later
  --user www-data            processes of a user, by name or number
  --cgroup /system.slice     a folder of cgroup2, and those below
  --unit nginx.service       a unit of systemd, of the system or a user
  --container web            a container, by name or id
  --exclude-process curl     never these, whatever else says

Each may be repeated, and be a list with commas. Of several, of the
same kind or not, each is meant: a connection is intercepted if any of
them selects its caller. Exceptions win; alone, they are of everybody.

What starts later counts, too, and from its first connect: processes,
children, units, and containers whose id is known. What there is not
yet is waited for, and the start page says so; a pid, a user and a
cgroup have to be there. It is the process that calls connect(2) that
counts, and not where its socket was made. The name of a process is
that of its first thread, as /proc/PID/comm has it.

A unit or container is known by its cgroup, of cgroup2. Names of
containers are those of Docker, Podman, containerd, runc, LXC and
systemd-nspawn. The network namespace of a container is intercepted,
as if --netns named it. Of one that comes, or starts again, later that
begins some 0.25 s after its start, which a line tells, and it takes
root: without, a warning says that the container is left alone.

A COMMAND is affected by whatever it connects to, unless --upstream
says else. It runs in a cgroup of its own, which is removed at the end.
Its standard output is its own: what fault has to say goes to stderr,
and there is no view. Signals go to the command, and its exit code is
that of fault: 128 and the number of a signal that ended it, 127 if it
is not there, 126 if it cannot be run. What it leaves running goes on,
unaffected; so does the command when --duration is over.

  fault run --with-latency --latency-mean 300 -- curl example.com
`

const schedulesTopic = `--FAULT-sched says when a fault is on; without it, always.

  --latency-sched 'start:30s,duration:1m;start:90%,duration:5%'

Periods are separated by ` + "`;`" + `, and each has a start and a duration.
Without start a period begins at once, without duration it lasts to the
end. A start alone followed by a duration alone is one period, too:
start:30s;duration:3m.

  30s  5m  1h30m  1.5h   a number and a unit, or several that are added
  90                     seconds
  50%                    of --duration, which is then needed

Times count from the moment that the run is ready. Periods that overlap
are one. Faults have schedules independent of each other.

Connections that are open obey it, too. A piece that is on its way when a
period ends keeps its delay; what waits for a slow or dead line leaves at
once.
`

// exits is what the exit codes of commands say beyond their being that.
var exits = []struct{ path, says string }{
	{"run", "0, or as its COMMAND; 3 if none matched, with --fail-if-idle"},
	{"check", "1 if connections cannot be intercepted"},
	{"status", "1 if no agent runs, or none is ready in time with --wait"},
}

// exitCodesTopic says what they mean.
func exitCodesTopic(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`  0          it did what was asked
  1          this host refused something, or something failed
  2          what was typed makes no sense; nothing was opened

`)
	for _, e := range exits {
		if known(root, e.path) != nil {
			writeColumns(&b, "  "+e.path, namesColumn, " ", strings.Fields(e.says))
		}
	}
	b.WriteString(`
Errors are on stderr: ` + "`error: `" + ` and a sentence, then perhaps ` + "`hint: `" + `
and what to type. ` + "`warning: `" + ` is what there is to know although the run
goes on.
`)
	return b.String()
}
