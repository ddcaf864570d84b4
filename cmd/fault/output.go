package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/cmd/fault/view"
)

const outputTitle = "Output"

// outputFlags are the flags about what a run writes, but for logs.
type outputFlags struct {
	tail, noUI bool
	json       jsonTarget
}

func addOutputFlags(cmd *cobra.Command) *outputFlags {
	f := &outputFlags{}
	s := section{cmd, outputTitle}
	more(s.toggle(&f.tail, "tail", "a line for each connection or request that ends", "FAULT_PROXY_TAILING"),
		"One that is open after 5 s has a line of its own, so that a blackholed one is seen.")
	json := s.value(&f.json, "json", "events as JSON, to stdout or to a file", "FAULT_JSON")
	json.NoOptDefVal = string(jsonStdout)
	more(json, "A path comes behind `=`. Without one stdout is for JSON alone; the variable says so by `true`. `fault help json` lists the events.")
	more(s.toggle(&f.noUI, "no-ui", "only errors, and logs and JSON if asked for", "FAULT_PROXY_NO_UI"),
		"It wins over `--tail`.")
	return f
}

// farewell is how long the last lines may take to be written.
const farewell = 300 * time.Millisecond

// open gives the configuration its writers, and returns what closes them.
// What is meant for people goes to stdout, in a style, unless that is for JSON
// alone.
func (f *outputFlags) open(cfg *agent.Config, out *lines.Writer, look style.Style) (func(), error) {
	if f.json == jsonStdout {
		cfg.JSON = out
		return func() {}, nil
	}
	if !f.noUI {
		cfg.Out, cfg.Style, cfg.SummaryJSON = out, look, look.Columns == 0
	}
	if f.json == "" {
		return func() {}, nil
	}
	file, err := os.Create(string(f.json))
	if err != nil {
		return nil, fmt.Errorf("open the file for --json: %w", err)
	}
	cfg.JSON = lines.NewWriter(file)
	return func() {
		cfg.JSON.Close(farewell)
		file.Close()
	}, nil
}

// screen is the view, if this run is to have one: stdout is a terminal that we
// may draw on, and has no lines on it.
func (f *outputFlags) screen(env environment, logs *logFlags, look style.Style) *view.Screen {
	stdout, ok := env.stdout.(*os.File)
	if !ok || env.stdin == nil || f.tail || f.noUI || f.json == jsonStdout || logs.stdout ||
		!view.Usable(env.stdin, stdout, env.terminalName()) {
		return nil
	}
	return view.New(view.Options{Input: env.stdin, Output: stdout, Style: look})
}

// jsonTarget is a flag value: where JSON goes; empty is nowhere.
type jsonTarget string

const jsonStdout jsonTarget = "-"

func (j *jsonTarget) String() string { return string(*j) }
func (j *jsonTarget) Type() string   { return "PATH" }

// Set takes a path. A variable can only say by a word what the flag says
// without a value.
func (j *jsonTarget) Set(text string) error {
	switch plainBool(text) {
	case "":
		return errors.New("is empty; without a value it is stdout")
	case "true", "1":
		*j = jsonStdout
	case "false", "0":
		*j = ""
	default:
		*j = jsonTarget(text)
	}
	return nil
}

func (j *jsonTarget) complete(string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
