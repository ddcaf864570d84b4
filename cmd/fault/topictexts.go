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
(DoH) are not seen, nor those of cgroups that are not meant. A name, but
not what is below a domain, is also looked up every 5 s. Loopback and DNS
are meant only if they are named, as by localhost:5432.

Where one address has several names, the name in the client's TLS (SNI)
or HTTP (Host) decides, once it is connected. Without one there are no
faults, and that is counted; an address in --upstream needs no name.

Intercepted are new TCP connections of the network namespace in which
fault runs, if --upstream means them, or of those that --netns names: by
a name of ip netns, a path, a process in it, or self; repeated, or as a
list. What DNS answers say is learnt in all; look-ups, clients that ask
for a proxy and mappings stay in fault's own. These narrow it:

  --cgroup PATH          to a cgroup and those below
  --capture-process NAME to the processes of a name
  --capture-pid PID      to one process

What is not meant passes through unaltered, or is left alone by the
kernel; the summary counts both, by reason.

Without --upstream, or with --transparent off, nothing is intercepted.
Clients then ask for the proxy, at --proxy-address:

  fault run --with-latency --latency-mean 300 &
  curl -x http://127.0.0.1:3180 http://example.com/
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
	{"run", "0 whoever or whatever ended it; 3 if nothing matched, with --fail-if-idle"},
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
