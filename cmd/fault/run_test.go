package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/faults"
)

// outcome is what a command line led to.
type outcome struct {
	cfg            agent.Config
	ran            bool
	code           int
	stdout, stderr string
}

// try runs a command line in this process, with an agent that only takes note.
func try(vars map[string]string, args ...string) outcome {
	var o outcome
	var stdout, stderr bytes.Buffer
	env := environment{
		stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return vars[name] },
		agent: func(_ context.Context, cfg agent.Config) (agent.Report, error) {
			o.cfg, o.ran = cfg, true
			return agent.Report{}, nil
		},
	}
	o.code = run(context.Background(), env, args)
	o.stdout, o.stderr = stdout.String(), stderr.String()
	return o
}

const ms = time.Millisecond

var toClient = faults.LinksOf(faults.Server, faults.Ingress)

// TestFlagsAndVariables gives each setting as a flag, as a variable, and as
// both, when the flag counts.
func TestFlagsAndVariables(t *testing.T) {
	latency := func(o outcome) faults.Latency {
		if len(o.cfg.Faults) == 0 {
			return faults.Latency{}
		}
		return o.cfg.Faults[0].(faults.Latency)
	}
	normal := []string{"--with-latency", "--latency-mean", "300"}
	with := func(args ...string) []string { return append([]string{"--with-latency"}, args...) }
	for _, tc := range []struct {
		flag, variable string
		value, other   string
		rest           []string
		got            func(outcome) any
		want           any
	}{
		{"upstream", "FAULT_UPSTREAMS", "*,!10.0.0.0/8", "example.com", nil, func(o outcome) any { return o.cfg.Upstreams.String() }, "*,!10.0.0.0/8"},
		{"transparent", "FAULT_TRANSPARENT", "off", "on", nil, func(o outcome) any { return o.cfg.Transparent }, agent.Off},
		{"cgroup", "FAULT_CGROUP", "/system.slice", "/x", nil, func(o outcome) any { return o.cfg.Cgroup }, "/system.slice"},
		{"proxy-address", "FAULT_HTTP_PROXY_ADDRESS", "http://0.0.0.0:4000", "127.0.0.1:1", nil, func(o outcome) any { return o.cfg.Proxy.String() }, "0.0.0.0:4000"},
		{"proxy-address", "FAULT_PROXY_ADDRESS", "localhost:4000", "127.0.0.1:1", nil, func(o outcome) any { return o.cfg.Proxy.String() }, "127.0.0.1:4000"},
		{"duration", "FAULT_PROXY_DURATION", "1m30s", "1", nil, func(o outcome) any { return o.cfg.Duration }, 90 * time.Second},
		{"seed", "FAULT_SEED", "42", "7", nil, func(o outcome) any { return o.cfg.Seed }, uint64(42)},
		{"tail", "FAULT_PROXY_TAILING", "true", "false", nil, func(o outcome) any { return o.cfg.Tail }, true},
		{"no-ui", "FAULT_PROXY_NO_UI", "true", "false", nil, func(o outcome) any { return o.cfg.Out == nil }, true},
		{"with-latency", "FAULT_WITH_LATENCY", "true", "false", []string{"--latency-mean", "300"}, func(o outcome) any { return len(o.cfg.Faults) }, 1},
		{"latency-mean", "FAULT_LATENCY_MEAN", "12.5", "1", with(), func(o outcome) any { return latency(o).Delay }, faults.Normal{Mean: 12500 * time.Microsecond}},
		{"latency-stddev", "FAULT_LATENCY_STANDARD_DEVIATION", "50", "1", normal, func(o outcome) any { return latency(o).Delay }, faults.Normal{Mean: 300 * ms, StdDev: 50 * ms}},
		{"latency-min", "FAULT_LATENCY_MIN", "10", "1", with("--latency-distribution", "uniform", "--latency-max", "20"), func(o outcome) any { return latency(o).Delay }, faults.Uniform{Min: 10 * ms, Max: 20 * ms}},
		{"latency-max", "FAULT_LATENCY_MAX", "30", "1", with("--latency-distribution", "uniform"), func(o outcome) any { return latency(o).Delay }, faults.Uniform{Max: 30 * ms}},
		{"latency-scale", "FAULT_LATENCY_SCALE", "20", "1", with("--latency-distribution", "pareto", "--latency-shape", "1.5"), func(o outcome) any { return latency(o).Delay }, faults.Pareto{Scale: 20 * ms, Shape: 1.5}},
		{"latency-shape", "FAULT_LATENCY_SHAPE", "2.5", "1", with("--latency-distribution", "pareto", "--latency-scale", "20"), func(o outcome) any { return latency(o).Delay }, faults.Pareto{Scale: 20 * ms, Shape: 2.5}},
		{"latency-distribution", "FAULT_LATENCY_DISTRIBUTION", "paretonormal", "normal", with("--latency-scale", "20", "--latency-shape", "2", "--latency-mean", "5"), func(o outcome) any { return latency(o).Delay },
			faults.ParetoNormal{Pareto: faults.Pareto{Scale: 20 * ms, Shape: 2}, Normal: faults.Normal{Mean: 5 * ms}}},
		{"latency-side", "FAULT_LATENCY_SIDE", "client", "server", normal, func(o outcome) any { return latency(o).On.String() }, "to server"},
		{"latency-direction", "FAULT_LATENCY_DIRECTION", "both", "egress", normal, func(o outcome) any { return latency(o).On.String() }, "both links"},
		{"latency-per-read-write", "FAULT_LATENCY_PER_READ_WRITE", "true", "false", normal, func(o outcome) any { return latency(o).PerReadWrite }, true},
	} {
		args := append([]string{"run"}, tc.rest...)
		byFlag := append(args[:len(args):len(args)], "--"+tc.flag+"="+tc.value)
		for how, o := range map[string]outcome{
			"flag":     try(nil, byFlag...),
			"variable": try(map[string]string{tc.variable: tc.value}, args...),
			"both":     try(map[string]string{tc.variable: tc.other}, byFlag...),
		} {
			if got := tc.got(o); !o.ran || o.code != 0 || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%s by %s: %v, want %v; exit %d, %s", tc.flag, how, got, tc.want, o.code, o.stderr)
			}
		}
		if o := try(map[string]string{tc.variable: ""}, args...); strings.Contains(o.stderr, tc.variable) {
			t.Errorf("%s empty: %s", tc.variable, o.stderr)
		}
	}
}

func TestStealth(t *testing.T) {
	if o := try(map[string]string{"FAULT_ENABLE_STEALTH": "1"}, "run", "-u", "*"); o.cfg.Transparent != agent.On {
		t.Errorf("%q, %s", o.cfg.Transparent, o.stderr)
	}
}

func TestVariablesOfYesAndNo(t *testing.T) {
	for value, want := range map[string]bool{
		"true": true, "1": true, "yes": true, "YES": true, "on": true,
		"false": false, "0": false, "no": false, "No": false, "off": false, "": false,
	} {
		if o := try(map[string]string{"FAULT_PROXY_TAILING": value}, "run"); o.code != 0 || o.cfg.Tail != want {
			t.Errorf("%q: %v, want %v; %s", value, o.cfg.Tail, want, o.stderr)
		}
	}
}

// TestGlobalFlags are taken before and after the command.
func TestGlobalFlags(t *testing.T) {
	for _, args := range [][]string{{"--log-level", "debug", "--log-stdout", "run"}, {"run", "--log-level", "debug", "--log-stdout"}} {
		o := try(nil, args...)
		if !o.ran || !o.cfg.Log.Core().Enabled(-1) {
			t.Errorf("%v: exit %d, %s", args, o.code, o.stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "log")
	o := try(map[string]string{"FAULT_LOG_FILE": file, "FAULT_LOG_LEVEL": "warn,hyper=trace"}, "run")
	if o.code != 0 || o.cfg.Log.Core().Enabled(0) {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestRefused is every command line that makes no sense: one line that names
// the flag and the value, perhaps one more, exit 2, and no run.
func TestRefused(t *testing.T) {
	for _, tc := range []struct{ args, want, hint string }{
		{"run --with-latncy", "unknown flag `--with-latncy` for `fault run`", "`fault run --help`"},
		{"run -x", "unknown flag `-x` for `fault run`", "`fault run --help`"},
		{"run --latency-mean", "--latency-mean needs a value", ""},
		{"run --latency-mean fast", "--latency-mean: `fast` must be a number of milliseconds", ""},
		{"run --latency-mean -1", "--latency-mean: `-1` must be a number of milliseconds", ""},
		{"run --latency-mean NaN", "--latency-mean: `NaN` must be a number of milliseconds", ""},
		{"run --latency-shape 0", "--latency-shape: `0` must be a number above 0", ""},
		{"run --latency-side up", "--latency-side: `up` is unknown; it must be server or client", ""},
		{"run --latency-distribution flat", "`flat` is unknown; it must be normal, uniform, pareto or pareto-normal", ""},
		{"run --with-latency", "--latency-distribution normal needs --latency-mean", "--latency-mean 300"},
		{"run --with-latency --latency-distribution uniform", "uniform needs --latency-max", "--latency-max 300"},
		{"run --with-latency --latency-distribution pareto", "pareto needs --latency-scale and --latency-shape", "--latency-shape 3"},
		{"run --with-latency --latency-distribution uniform --latency-min 50 --latency-max 10",
			"--latency-min 50 is above --latency-max 10 (both in ms)", "did you mean `--latency-min 10 --latency-max 50`?"},
		{"run --with-latency --latency-distribution pareto --latency-scale 0 --latency-shape 1", "both must be above 0", ""},
		{"run --duration soon", "--duration: `soon` is not a duration", ""},
		{"run --duration 0", "--duration: `0` must be above 0", ""},
		{"run --seed x", "--seed: `x` is not what it takes", ""},
		{"run --upstream 10.0.0.0/40", "--upstream `10.0.0.0/40` is not a CIDR", ""},
		{"run --proxy-address nowhere", "--proxy-address `nowhere` is not host:port", "127.0.0.1:3180"},
		{"run --proxy-address [::1]:3180", "--proxy-address `[::1]:3180` is not IPv4", ""},
		{"run --proxy-address 127.0.0.1:99999", "has a port", ""},
		{"run --transparent maybe", "--transparent: `maybe` is unknown; it must be auto, on or off", ""},
		{"run --transparent on", "--transparent on needs --upstream", "`--upstream '*'`"},
		{"run --log-level loud", "--log-level: `loud` is unknown", ""},
		{"run extra", "`fault run` takes no argument `extra`", "`fault run --help`"},
		{"rnu", "unknown command `rnu` for `fault`", "`fault --help`"},
		{"demo run a 1 b", "not also `b`", ""},
		{"demo run localhost http", "--port: `http` is not what it takes", ""},
	} {
		o := try(nil, strings.Fields(tc.args)...)
		lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
		if o.ran || o.code != exitUsage || o.stdout != "" || len(lines) > 2 ||
			!strings.HasPrefix(lines[0], "error: ") || !strings.Contains(lines[0], tc.want) {
			t.Errorf("%s: exit %d, ran %v, stdout %q, stderr:\n%s", tc.args, o.code, o.ran, o.stdout, o.stderr)
			continue
		}
		if len(lines) == 2 && !strings.HasPrefix(lines[1], "hint: ") || tc.hint != "" && (len(lines) < 2 || !strings.Contains(lines[1], tc.hint)) {
			t.Errorf("%s: hint of\n%s", tc.args, o.stderr)
		}
	}
	o := try(map[string]string{"FAULT_LATENCY_MEAN": "fast"}, "run")
	if o.code != exitUsage || !strings.HasPrefix(o.stderr, "error: FAULT_LATENCY_MEAN (for --latency-mean): `fast` must be") {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
}

// TestIdleFlags are said to do nothing, and the run goes on.
func TestIdleFlags(t *testing.T) {
	for args, want := range map[string]string{
		"run --latency-mean 300":                                      "warning: --latency-mean does nothing without --with-latency\n",
		"run --with-latency --latency-mean 300 --latency-max 5":       "warning: --latency-max does nothing with --latency-distribution normal, which takes --latency-mean, --latency-stddev\n",
		"run --with-latency --latency-mean 300 --latency-side client": "",
	} {
		if o := try(nil, strings.Fields(args)...); !o.ran || o.stderr != want {
			t.Errorf("%s: ran %v, %q, want %q", args, o.ran, o.stderr, want)
		}
	}
}

func TestTheIssuesCommand(t *testing.T) {
	o := try(nil, "--log-stdout", "run", "--proxy-address", "0.0.0.0:3180", "--upstream", "*",
		"--with-latency", "--latency-mean", "300", "--latency-stddev", "50")
	want := []faults.Fault{faults.Latency{Delay: faults.Normal{Mean: 300 * ms, StdDev: 50 * ms}, On: toClient}}
	if !o.ran || !reflect.DeepEqual(o.cfg.Faults, want) || o.cfg.Proxy.String() != "0.0.0.0:3180" || o.cfg.Seed == 0 {
		t.Errorf("%+v, %s", o.cfg, o.stderr)
	}
}

// TestEveryFlagIsExplained wants a description of each flag, and its variable
// in it if it has one.
func TestEveryFlagIsExplained(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			variables := f.Annotations[variableAnnotation]
			switch {
			case f.Usage == "":
				t.Errorf("%s --%s has no help", cmd.CommandPath(), f.Name)
			case f.Name != "help" && f.Name != "version" && len(variables) == 0:
				t.Errorf("%s --%s has no variable", cmd.CommandPath(), f.Name)
			case len(variables) > 0 && !strings.Contains(f.Usage, "$"+variables[0]):
				t.Errorf("%s --%s does not name %s", cmd.CommandPath(), f.Name, variables[0])
			}
		})
		if cmd.Short == "" {
			t.Errorf("%s has no description", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRoot(environment{}))
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}, {"-V"}} {
		if o := try(nil, args...); o.code != 0 || !strings.HasPrefix(o.stdout, fmt.Sprintf("fault %s", version)) {
			t.Errorf("%v: exit %d, %q", args, o.code, o.stdout)
		}
	}
}
