package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/faultproxy/fault/bench/load"
)

// bench is one run.
type bench struct {
	settings
	self    string // this program
	dir     string // of what the run writes, removed at its end
	ctx     context.Context
	stop    context.CancelCauseFunc
	started int

	began   time.Time
	load    string // what else the machine did then
	lines   []line
	details []detail
}

// battery measures some rows, with the same processes.
type battery struct {
	rows    []string
	measure func(*bench) error
}

func newBench(s settings) (*bench, error) {
	b := &bench{settings: s, began: time.Now(), load: loadAverage()}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.binary, err = filepath.Abs(s.binary); err != nil {
		return nil, err
	}
	if b.peers, err = filepath.Abs(s.peers); err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.binary); err != nil {
		return nil, fmt.Errorf("-binary %w", err)
	}
	if b.dir, err = os.MkdirTemp("", "fault-bench-"); err != nil {
		return nil, err
	}
	b.ctx, b.stop = context.WithCancelCause(context.Background())
	// Peers that drop their privileges read their settings there.
	return b, os.Chmod(b.dir, 0o755)
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// stopped says why, if the run has to end.
func (b *bench) stopped() error { return context.Cause(b.ctx) }

// wants reports whether one of the rows is to be measured.
func (b *bench) wants(rows ...string) bool {
	return len(b.rows) == 0 || slices.ContainsFunc(rows, func(row string) bool { return slices.Contains(b.rows, row) })
}

func (b *bench) run() error {
	for _, battery := range batteries {
		if !b.wants(battery.rows...) {
			continue
		}
		began := time.Now()
		if err := battery.measure(b); err != nil {
			return fmt.Errorf("measure row %s: %w", strings.Join(battery.rows, ", "), err)
		}
		b.say("row %s: %.0f s", strings.Join(battery.rows, ", "), time.Since(began).Seconds())
	}
	return nil
}

// say tells of the progress, on stderr.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// times is the rounds of what needs n times as many as others, or one in a short
// run.
func (b *bench) times(n int) int {
	if b.short {
		return 1
	}
	return n * b.rounds
}

// lasting is a time in which is measured, or a moment in a short run.
func (b *bench) lasting(d time.Duration) time.Duration {
	if b.short {
		return min(d, 30*time.Millisecond)
	}
	return d
}

// target is what a client connects to.
type target struct {
	name, address string
	// pid is whose costs are measured; 0 is nobody's.
	pid int
}

func names(targets []target) []string {
	var all []string
	for _, t := range targets {
		all = append(all, t.name)
	}
	return all
}

// results is what was measured of each target, round by round.
type results map[string][]load.Result

// of takes one quantity out of the results.
func (r results) of(quantity func(load.Result) float64) series {
	s := make(series)
	for target, all := range r {
		for _, one := range all {
			s[target] = append(s[target], quantity(one))
		}
	}
	return s
}

// compare measures the targets one after the other, round by round.
func compare(rounds int, targets []target, do func(target) (load.Result, error)) (results, error) {
	all := make(results)
	turn := slices.Clone(targets)
	for range rounds {
		for _, t := range turn {
			r, err := do(t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			all[t.name] = append(all[t.name], r)
		}
		slices.Reverse(turn)
	}
	return all, nil
}

// compareJob is compare for one job, given with no target.
func (b *bench) compareJob(targets []target, job load.Job) (results, error) {
	return compare(b.rounds, targets, func(t target) (load.Result, error) {
		job.To, job.PID = t.address, t.pid
		return b.do(job, nil)
	})
}

// judge adds a line to the table of gates, if its row is wanted.
func (b *bench) judge(row, what string, measured float64, unit string, g goal) {
	if !b.wants(row) {
		return
	}
	l := line{row, what, measured, unit, g}
	b.lines = append(b.lines, l)
	if b.short {
		b.say("  %-4s %s: %s", row, what, quantity(measured, unit))
	} else {
		b.say("  %-4s %s: %s (%s%s) %s", row, what, quantity(measured, unit), g.sign(), quantity(g.gate, unit), l.verdict())
	}
}

// note keeps and tells what the targets gave.
func (b *bench) note(what, unit string, targets []target, values series) {
	d := detail{what, unit, names(targets), values}
	b.details = append(b.details, d)
	var all []string
	for _, name := range d.targets {
		all = append(all, fmt.Sprintf("%s %s", name, quantity(values.median(name), "")))
	}
	if unit != "" {
		what += ", " + unit
	}
	b.say("%s: %s", what, strings.Join(all, ", "))
}

// report prints the tables, and writes them to the file of results if all rows
// were measured.
func (b *bench) report(to io.Writer) error {
	slices.SortStableFunc(b.lines, func(a, c line) int { return rowOrder(a.row) - rowOrder(c.row) })
	fmt.Fprintln(to)
	if err := align(to, medians(b.details)); err != nil {
		return err
	}
	fmt.Fprintln(to)
	err := align(to, gates(b.lines, !b.short))
	if err != nil || b.short || len(b.rows) > 0 || b.results == "" {
		return err
	}
	text, err := b.page()
	if err != nil {
		return err
	}
	return os.WriteFile(b.results, []byte(text), 0o644)
}
