package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// rowsOf are the rows of a text, which must fit.
func rowsOf(t *testing.T, what, text string) []string {
	t.Helper()
	rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, row := range rows {
		if utf8.RuneCountInString(row) > helpWidth || strings.TrimRight(row, " ") != row || strings.Contains(row, "\t") {
			t.Errorf("%s: a row that is too wide, has a tab or ends with spaces: %q", what, row)
		}
	}
	return rows
}

// TestRootHelp names every command.
func TestRootHelp(t *testing.T) {
	help := try(nil, "--help").stdout
	rowsOf(t, "fault --help", help)
	for _, args := range [][]string{{}, {"-h"}} {
		if o := try(nil, args...); o.code != 0 || o.stdout != help || o.stderr != "" {
			t.Errorf("%v: exit %d, %s%s", args, o.code, o.stdout, o.stderr)
		}
	}
	for _, want := range []string{
		"programs, for as long as it runs, and leaves nothing behind.\n\n  sudo fault run",
		"\n  run       inject faults until the duration ends, Ctrl-C or SIGTERM\n",
		"\n  demo run  serve pages to try faults on\n",
		"\n  help      topics: upstreams, callers, faults, schedules, environment, json,\n            exit-codes\n  completion, version",
		"\nGlobal flags, before or after the command:\n  --log-file PATH   --log-stdout   --log-level LEVEL",
		"   -h, --help\n",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
	for _, name := range commandNames(newRoot(environment{})) {
		if !strings.Contains(help, name) {
			t.Errorf("`%s` is not in\n%s", name, help)
		}
	}
}

// TestHelpOfCommands is the same however it is asked for, and fits.
func TestHelpOfCommands(t *testing.T) {
	eachCommand(newRoot(environment{}), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		if len(path) == 0 {
			return
		}
		if cmd.Short == "" {
			t.Errorf("%s has no description", cmd.CommandPath())
		}
		help := try(nil, append(path, "--help")...)
		if help.code != 0 || help.stdout == "" || help.stderr != "" {
			t.Errorf("%s: exit %d, %s", path, help.code, help.stderr)
		}
		if path[0] != "completion" { // whose texts are cobra's
			rowsOf(t, cmd.CommandPath(), help.stdout)
		}
		for _, args := range [][]string{append(path, "-h"), append([]string{"help"}, path...)} {
			if o := try(nil, args...); o.stdout != help.stdout {
				t.Errorf("%s: exit %d, not as with --help: %s", args, o.code, o.stdout)
			}
		}
	})
}

// TestRunHelpFits on a screen.
func TestRunHelpFits(t *testing.T) {
	if rows := rowsOf(t, "fault run --help", try(nil, "run", "--help").stdout); len(rows) > 64 {
		t.Errorf("%d rows", len(rows))
	}
}

// TestTopics fit, those that are not lists of flags on a small screen.
func TestTopics(t *testing.T) {
	list := try(nil, "help").stdout
	rowsOf(t, "fault help", list)
	for _, topic := range topics {
		o := try(map[string]string{"FAULT_LOG_LEVEL": "?"}, "help", topic.name)
		rows := rowsOf(t, topic.name, o.stdout)
		if o.code != 0 || o.stderr != "" || len(rows) < 5 || len(rows) > 40 && topic.name != "faults" && topic.name != "environment" {
			t.Errorf("%s: exit %d, %d rows, %s", topic.name, o.code, len(rows), o.stderr)
		}
		for _, row := range rows {
			// Seven columns are the margin of the man page that has some of them.
			if topic.name != "json" && topic.name != "faults" && topic.name != "environment" && utf8.RuneCountInString(row) > helpWidth-7 {
				t.Errorf("%s: too wide for a man page: %s", topic.name, row)
			}
		}
		if !strings.Contains(list, "\n  "+topic.name+" ") {
			t.Errorf("`fault help` has no %s", topic.name)
		}
	}
}

// TestTopicOfEvents has what events have.
func TestTopicOfEvents(t *testing.T) {
	text := try(nil, "help", "json").stdout
	for _, want := range []string{
		"Every event: event, time, at_s.", "  start      everything", "why_explicit", "left_alone_by_reason", "output_dropped replay\n", "schema 1.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestScheduleTopic is true: what it writes is understood.
func TestScheduleTopic(t *testing.T) {
	for _, args := range []string{
		"--latency-sched start:30s,duration:1m;start:90%,duration:5% --duration 10m",
		"--latency-sched start:30s;duration:3m", "--latency-sched start:30s;start:5m;start:1h30m;start:1.5h;start:90",
		"--latency-sched start:50% --duration 10m",
	} {
		o := try(nil, append(strings.Fields("run --with-latency --latency-mean 1"), strings.Fields(args)...)...)
		if o.code != 0 {
			t.Errorf("%s: %s", args, o.stderr)
		}
	}
}

// TestUpstreamTopic is, too.
func TestUpstreamTopic(t *testing.T) {
	for _, pattern := range []string{
		"*", "db.internal", "db.internal:5432", "*.example.com", "10.1.2.3", "10.0.0.0/8", "[2001:db8::1]:443", "*:5432", "https://example.com/", "!10.0.0.53", "localhost:5432",
	} {
		if !strings.Contains(upstreamsTopic, pattern) {
			t.Errorf("it has no %s", pattern)
		}
		if o := try(nil, "run", "-u", pattern); o.code != 0 {
			t.Errorf("%s: %s", pattern, o.stderr)
		}
	}
}
