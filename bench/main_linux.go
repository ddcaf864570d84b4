// Command bench measures fault beside its peers, and says which of the goals for
// its speed it reaches. `make bench` runs it.
//
// All that is measured runs in a network namespace of its own, over loopback:
// the built command, its peers from their packages, and the servers and clients
// of package load. Targets are measured one after the other in each round, in
// turned order in every other one, and what is judged is the median of the
// ratios within a round, which the rest of what the machine does hardly moves.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/bench/load"
)

// The first argument of a process that is this program again: a server, a
// client, or the bench itself in its namespace.
const (
	roleServe   = "serve"
	roleLoad    = "load"
	roleMeasure = "measure"
)

func main() {
	// Threads differ in what they pass on to the processes that they start:
	// this one has the namespace and the processors, and lasts.
	runtime.LockOSThread()
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == roleServe:
		err = load.Serve(args[1], args[2])
	case len(args) == 2 && args[0] == roleLoad:
		err = doJob(args[1])
	case len(args) > 0 && args[0] == roleMeasure:
		err = measure(args[1:])
	default:
		err = isolate(args)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// doJob prints what a job has measured.
func doJob(text string) error {
	var job load.Job
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	result, err := job.Do()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// isolate goes on in a network namespace that ends with this process.
func isolate(args []string) error {
	if _, err := parse(args); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w (it needs root)", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, append([]string{self, roleMeasure}, args...), os.Environ())
}

// settings are what the command line says.
type settings struct {
	binary, results, peers string
	congestion             string
	rows                   []string
	rounds                 int
	short                  bool
}

func parse(args []string) (settings, error) {
	var s settings
	var rows string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&s.binary, "binary", "fault", "the `program` to measure")
	flags.StringVar(&rows, "rows", "", "measure only these, as `3,4`")
	flags.IntVar(&s.rounds, "rounds", 5, "how often each target is measured")
	flags.StringVar(&s.congestion, "congestion", "reno", "the congestion control of all")
	flags.StringVar(&s.peers, "peers", ".bench", "the `folder` with the peers that are no packages")
	flags.StringVar(&s.results, "results", "", "write what a run of all rows has measured to this `file`, too")
	flags.BoolVar(&s.short, "short", false, "one short round without gates, to see that all works")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("%s: bench takes flags only", flags.Arg(0))
	}
	if s.rounds < 1 {
		return s, fmt.Errorf("-rounds %d: it takes at least one", s.rounds)
	}
	for row := range strings.SplitSeq(rows, ",") {
		if row == "" {
			continue
		}
		if !slices.ContainsFunc(batteries, func(b battery) bool { return slices.Contains(b.rows, row) }) {
			return s, fmt.Errorf("-rows %s: there is no row %s", rows, row)
		}
		s.rows = append(s.rows, row)
	}
	if s.short {
		s.rounds = 1
	}
	return s, nil
}

// measure runs in the namespace.
func measure(args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if err := prepare(s.congestion); err != nil {
		return err
	}
	b, err := newBench(s)
	if err != nil {
		return err
	}
	defer b.close()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		b.stop(fmt.Errorf("%v", <-stopped))
	}()
	if err := b.run(); err != nil {
		return err
	}
	if err := b.report(os.Stdout); err != nil {
		return err
	}
	if n := missed(b.lines); n > 0 && !s.short {
		return fmt.Errorf("%d of %d gates are missed", n, len(b.lines))
	}
	return nil
}

// prepare makes the namespace one to measure in.
func prepare(congestion string) error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("set loopback up: %w", err)
	}
	for name, value := range map[string]string{
		"tcp_congestion_control": congestion,
		// Listeners are below, so that no connection takes their ports.
		"ip_local_port_range": "20000 60999",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s to %s: %w", name, value, err)
		}
	}
	// What is started inherits it.
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	files.Cur = files.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
}
