package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrors holds what the command says when it cannot do what it was told:
// one line, perhaps a hint, and the exit code.
func TestErrors(t *testing.T) {
	// The address is taken, and the log file is not there: who speaks of the
	// former, or leaves the latter, has begun before it had checked.
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the subtests, which are parallel
	run := func(flags ...string) []string {
		return append([]string{"run", "--proxy-address", taken.Addr().String()}, flags...)
	}
	for name, tc := range map[string]struct {
		args  []string
		env   string
		names []string // what the error has to name
		code  int
	}{
		"address in use":        {args: run(), names: []string{taken.Addr().String() + ": in use by e2e.test["}, code: 1},
		"unknown command":       {args: []string{"rum"}, names: []string{"rum"}, code: 2},
		"unknown subcommand":    {args: []string{"demo", "rum"}, names: []string{"rum"}, code: 2},
		"unknown flag":          {args: run("--with-latncy"), names: []string{"--with-latncy"}, code: 2},
		"argument":              {args: run("now"), names: []string{"now"}, code: 2},
		"missing value":         {args: run("--upstream"), names: []string{"--upstream"}, code: 2},
		"bad number":            {args: run("--with-latency", "--latency-mean", "3oo"), names: []string{"--latency-mean", "3oo"}, code: 2},
		"negative number":       {args: run("--with-latency", "--latency-mean=-1"), names: []string{"--latency-mean", "-1"}, code: 2},
		"not a number":          {args: run("--with-latency", "--latency-mean", "NaN"), names: []string{"--latency-mean", "NaN"}, code: 2},
		"bad seed":              {args: run("--seed", "x"), names: []string{"--seed", "x"}, code: 2},
		"total below link":      {args: run("--link-buffer", "1GiB", "--total-buffer", "512m"), names: []string{"--total-buffer", "512MiB", "--link-buffer", "1GiB"}, code: 2},
		"small buffer":          {args: run("--link-buffer", "1k"), names: []string{"--link-buffer", "64KiB"}, code: 2},
		"no mean":               {args: run("--with-latency"), names: []string{"--latency-mean"}, code: 2},
		"min above max":         {args: run("--with-latency", "--latency-distribution", "uniform", "--latency-min", "50", "--latency-max", "10"), names: []string{"--latency-min", "50", "--latency-max", "10"}, code: 2},
		"pareto without":        {args: run("--with-latency", "--latency-distribution", "pareto"), names: []string{"--latency-scale", "--latency-shape"}, code: 2},
		"unknown distribution":  {args: run("--with-latency", "--latency-distribution", "gamma"), names: []string{"--latency-distribution", "gamma", "pareto-normal"}, code: 2},
		"unknown side":          {args: run("--with-latency", "--latency-side", "left"), names: []string{"--latency-side", "left", "server"}, code: 2},
		"bad upstream":          {args: run("--upstream", "10.0.0.0/99"), names: []string{"--upstream", "10.0.0.0/99"}, code: 2},
		"bad upstream port":     {args: run("--upstream", "host:70000"), names: []string{"--upstream", "70000"}, code: 2},
		"bad duration":          {args: run("--duration", "soon"), names: []string{"--duration", "soon"}, code: 2},
		"no duration":           {args: run("--duration", "0"), names: []string{"--duration", "0"}, code: 2},
		"bad address":           {args: []string{"run", "--proxy-address", "nowhere"}, names: []string{"--proxy-address", "nowhere"}, code: 2},
		"bad port":              {args: []string{"run", "--proxy-address", "127.0.0.1:66000"}, names: []string{"--proxy-address", "66000"}, code: 2},
		"IPv6 address":          {args: []string{"run", "--proxy-address", "[::1]:0"}, names: []string{"--proxy-address", "IPv4"}, code: 2},
		"bad level":             {args: run("--log-level", "loud"), names: []string{"--log-level", "loud"}, code: 2},
		"bad number variable":   {args: run("--with-latency"), env: "FAULT_LATENCY_MEAN=many", names: []string{"FAULT_LATENCY_MEAN", "many"}, code: 2},
		"bad boolean variable":  {args: run(), env: "FAULT_WITH_LATENCY=maybe", names: []string{"FAULT_WITH_LATENCY", "maybe"}, code: 2},
		"bad duration variable": {args: run(), env: "FAULT_PROXY_DURATION=soon", names: []string{"FAULT_PROXY_DURATION", "soon"}, code: 2},
		"bad upstream variable": {args: run(), env: "FAULT_UPSTREAMS=10.0.0.0/99", names: []string{"10.0.0.0/99"}, code: 2},
		"no such namespace":     {args: run("--upstream", "*", "--netns", "self,fault-nowhere"), names: []string{"--netns", "fault-nowhere"}, code: 2},
		"no such process":       {args: run("--upstream", "*", "--netns", "2147483647"), names: []string{"--netns", "2147483647"}, code: 2},
		"no namespace":          {args: run("--upstream", "*", "--netns", "/dev/null"), names: []string{"--netns", "/dev/null", "not a network namespace"}, code: 2},
		"another namespace":     {args: run("--upstream", "*", "--netns", "/proc/self/ns/pid"), names: []string{"--netns", "/proc/self/ns/pid", "not a network namespace"}, code: 2},
		"bad demo port":         {args: []string{"demo", "run", "127.0.0.1", "web"}, names: []string{"web"}, code: 2},
		"demo address in use":   {args: append([]string{"demo", "run"}, strings.Split(taken.Addr().String(), ":")...), names: []string{taken.Addr().String()}, code: 1},
		"unusable log file":     {args: []string{"--log-file", "/nowhere/at/all", "run"}, names: []string{"/nowhere/at/all"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "log")
			args := tc.args
			if args[0] == "run" && tc.code == 2 {
				args = append([]string{"--log-file", log}, args...)
			}
			cmd := fault(args...)
			if tc.env != "" {
				cmd.Env = append(cmd.Env, tc.env)
			}
			p := start(t, nil, cmd)
			p.endsWithin(t, patience, tc.code)
			complains(t, p, tc.names...)
			if _, err := os.Stat(log); err == nil {
				t.Error("the log file was opened")
			}
		})
	}
}

// TestUnresolvedUpstream is apart, because it needs root to be an error: only
// who intercepts has to know the addresses.
func TestUnresolvedUpstream(t *testing.T) {
	needs(t)
	h := newHost(t)               // where no server for names is
	h.listen(t, "127.0.0.1:3180") // who speaks of that has tried to listen
	p := start(t, h, fault("run", "--upstream", "nobody-knows.invalid:443"))
	p.endsWithin(t, patience, 1)
	complains(t, p, "--upstream `nobody-knows.invalid:443`: ")
}

// complains holds the form of an error: nothing but one line and at most one
// hint, on standard error.
func complains(t *testing.T, p *process, names ...string) {
	t.Helper()
	// What takes long is told as it begins.
	if text := strings.TrimPrefix(p.stdout.String(), "resolving 1 name\n"); text != "" {
		t.Errorf("standard output: %s", text)
	}
	text := p.stderr.String()
	message, hint, hinted := strings.Cut(strings.TrimSuffix(text, "\n"), "\n")
	if !strings.HasPrefix(message, "error: ") || hinted && !strings.HasPrefix(hint, "hint: ") || strings.Contains(hint, "\n") {
		t.Errorf("not an error and at most a hint:\n%s", text)
	}
	for _, name := range names {
		if !strings.Contains(message, name) {
			t.Errorf("the error does not name %s: %s", name, message)
		}
	}
}
