package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/parent"
	"github.com/faultproxy/fault/faults"
)

// outcome is what a command line led to.
type outcome struct {
	cfg            agent.Config
	ran            bool
	code           int
	stdout, stderr string
	// files is what was in those that the run made, while it was ready.
	files []string
}

// starters are those of the tests, whom no test needs.
var starters = sync.OnceValue(parent.Watch)

// try runs a command line in this process, with an agent that only takes note.
func try(vars map[string]string, args ...string) outcome {
	var o outcome
	var stdout, stderr bytes.Buffer
	env := environment{
		stdout: &stdout, stderr: &stderr, watch: starters,
		getenv: func(name string) string { return vars[name] },
		agent: func(_ context.Context, cfg agent.Config) (agent.Report, error) {
			o.cfg, o.ran = cfg, true
			cfg.Log.Info("running")
			if err := cfg.Ready(cfg.Proxy); err != nil {
				return agent.Report{}, err
			}
			o.files = madeFiles(vars, args)
			if cfg.Out != nil {
				cfg.Out.Print("page\n")
			}
			if cfg.JSON != nil {
				cfg.JSON.Print("{}\n")
			}
			return agent.Report{}, nil
		},
	}
	o.code = run(context.Background(), env, args)
	o.stdout, o.stderr = stdout.String(), stderr.String()
	return o
}

// madeFiles reads the files that flags or variables of a run name.
func madeFiles(vars map[string]string, args []string) []string {
	paths := slices.Collect(maps.Values(vars))
	for _, arg := range args {
		if _, path, ok := strings.Cut(arg, "-file="); ok {
			paths = append(paths, path)
		}
	}
	var contents []string
	for _, path := range paths {
		if content, err := os.ReadFile(path); err == nil && filepath.IsAbs(path) {
			contents = append(contents, string(content))
		}
	}
	return contents
}

const ms = time.Millisecond

var toClient = faults.LinksOf(faults.Server, faults.Ingress)

// TestStealth is another word for --transparent on. What is typed wins over a
// variable.
func TestStealth(t *testing.T) {
	for _, tc := range []struct {
		args string
		vars map[string]string
		want agent.Transparent
	}{
		{"run -u * --stealth", nil, agent.On},
		{"run -u *", map[string]string{"FAULT_ENABLE_STEALTH": "1"}, agent.On},
		{"run -u * --stealth=false", map[string]string{"FAULT_ENABLE_STEALTH": "1"}, agent.Auto},
		{"run -u * --transparent off", map[string]string{"FAULT_ENABLE_STEALTH": "1"}, agent.Off},
		{"run -u * --transparent auto", map[string]string{"FAULT_ENABLE_STEALTH": "1"}, agent.Auto},
		{"run -u * --stealth", map[string]string{"FAULT_TRANSPARENT": "off"}, agent.On},
		{"run -u * --stealth --transparent on", nil, agent.On},
	} {
		if o := try(tc.vars, strings.Fields(tc.args)...); !o.ran || o.cfg.Transparent != tc.want || o.stderr != "" {
			t.Errorf("%s %v: %q, want %q; %s", tc.args, tc.vars, o.cfg.Transparent, tc.want, o.stderr)
		}
	}
}

// TestCapture holds that who says which processes, and to intercept, need not
// say which connections.
func TestCapture(t *testing.T) {
	for args, want := range map[string]string{
		"run --stealth --capture-process curl":                       "*",
		"run --transparent on --capture-pid 7":                       "*",
		"run --stealth --netns self -u !10.0.0.0/8":                  "!10.0.0.0/8,*",
		"run --stealth --cgroup /x -u !10.0.0.0/8":                   "!10.0.0.0/8,*",
		"run --stealth --capture-process curl --upstream db:5432":    "db:5432",
		"run --capture-process curl --upstream db:5432 -u 10.0.0.1":  "db:5432,10.0.0.1",
		"run --capture-process curl --capture-pid 7 --upstream db:1": "db:1",
		"run --transparent on --user root --unit x.service":          "*",
		"run --stealth --exclude-process curl":                       "*",
	} {
		if o := try(nil, strings.Fields(args)...); !o.ran || o.cfg.Upstreams.String() != want {
			t.Errorf("%s: %q, want %q; %s", args, o.cfg.Upstreams, want, o.stderr)
		}
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
	notPEM := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(notPEM, []byte("buy milk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ args, want, hint string }{
		{"run --with-latncy", "unknown flag `--with-latncy` for `fault run`", "`fault run --help`"},
		{"run -x", "unknown flag `-x` for `fault run`", "`fault run --help`"},
		{"--with-http-response --http-response-status 503", "unknown flag `--with-http-response` for `fault`", "`fault run --with-http-response`"},
		{"run --latency-mean", "--latency-mean needs a value", ""},
		{"run --latency-mean fast", "--latency-mean `fast` must be a number of milliseconds, 0 to 86400000", ""},
		{"run --latency-mean -1", "--latency-mean `-1` must be a number of milliseconds", ""},
		{"run --latency-mean NaN", "--latency-mean `NaN` must be a number of milliseconds", ""},
		{"run --latency-mean 1e9", "--latency-mean `1e9` must be a number of milliseconds", ""},
		{"run --latency-shape 0", "--latency-shape `0` must be a number above 0", ""},
		{"run --latency-shape Inf", "--latency-shape `Inf` must be a number above 0", ""},
		{"run --latency-side up", "--latency-side `up` is unknown; it must be server or client", ""},
		{"run --latency-direction Both", "--latency-direction `Both` is unknown; it must be ingress, egress or both", ""},
		{"run --latency-distribution flat", "`flat` is unknown; it must be normal, uniform, pareto or pareto-normal", ""},
		{"run --with-latency", "--latency-distribution normal needs --latency-mean", "--latency-mean 300"},
		{"run --latency-on reads", "--latency-on `reads` is unknown; it must be connect, data or both", ""},
		{"run --with-connect-error --connect-error-kind refuse", "`refuse` is unknown; it must be refused, reset, host-unreachable, net-unreachable or timeout", "refused"},
		{"run --with-connect-error --connect-error-probability 2", "--connect-error-probability `2` must be a number from 0 to 1", ""},
		{"run --with-latency --latency-distribution uniform", "uniform needs --latency-max", "--latency-max 300"},
		{"run --with-latency --latency-distribution pareto", "pareto needs --latency-scale and --latency-shape", "--latency-shape 3"},
		{"run --with-latency --latency-distribution uniform --latency-min 50 --latency-max 10",
			"--latency-min 50 is above --latency-max 10 (both in ms)", "did you mean `--latency-min 10 --latency-max 50`?"},
		{"run --with-latency --latency-distribution pareto --latency-scale 0 --latency-shape 1", "both must be above 0", ""},
		{"run --jitter-amplitude -1", "--jitter-amplitude `-1` must be a number of milliseconds", ""},
		{"run --jitter-frequency often", "--jitter-frequency `often` must be a number of times a second", ""},
		{"run --packet-loss-rate 3", "--packet-loss-rate `3` must be a number above 0, up to 1", ""},
		{"run --packet-loss-rate 0", "--packet-loss-rate `0` must be", ""},
		{"run --bandwidth-rate 0", "--bandwidth-rate `0` must be a whole number above 0", ""},
		{"run --bandwidth-rate 1.5", "--bandwidth-rate `1.5` must be a whole number above 0", ""},
		{"run --with-bandwidth --bandwidth-rate 1 --bandwidth-unit Mb/s",
			"--bandwidth-unit `Mb/s` is unknown; it must be Bps, KBps, MBps, GBps (bytes) or bps, kbps, mbps, gbps (bits)",
			"a million bits a second is `--bandwidth-rate 1 --bandwidth-unit mbps`"},
		{"run --with-bandwidth --bandwidth-rate 1000000000 --bandwidth-unit GBps", "--bandwidth-rate `1000000000 GBps`: a bandwidth of", ""},
		{"run --http-response-status 100", "--http-response-status `100` must be a whole number, 200 to 599; a status below 200 does not answer", ""},
		{"run --http-response-status 600", "--http-response-status `600` must be", ""},
		{"run --http-response-trigger-probability 1.1", "--http-response-trigger-probability `1.1` must be a number from 0 to 1", ""},
		{"run --with-latency --latency-mean 300 --latency-sched start:90%,duration:5%",
			"--latency-sched `start:90%,duration:5%` uses percentages, which need --duration",
			"add `--duration 10m`, or write times: `start:9m,duration:30s`"},
		{"run --with-jitter --jitter-sched start:20m;duration:5%", "--jitter-sched `start:20m;duration:5%` uses percentages",
			"add `--duration 1h`, or write times: `start:20m;duration:3m`"},
		{"run --with-jitter --jitter-sched start:5%,stop:1s", "--jitter-sched `start:5%,stop:1s`: `stop` is unknown; a period has start and duration", ""},
		{"run --with-blackhole --blackhole-sched soon", "--blackhole-sched `soon`: `soon` is not start:TIME or duration:TIME", ""},
		{"run --with-blackhole --blackhole-sched=", "--blackhole-sched ``: a schedule is empty", ""},
		{"run --with-blackhole --duration 1m --blackhole-sched start:2m", "`start:2m` starts after the run has ended", ""},
		{"run --with-slice --slice-size 10 --slice-size-variation 10", "--slice-size-variation `10`: pieces of 10 bytes cannot vary by 10: at least 1 is left, so 9 is the most", ""},
		{"run --with-slice --slice-size 0", "--slice-size `0` must be a whole number of bytes, 1 to 1048576", ""},
		{"run --with-reset --reset-after-bytes -1", "--reset-after-bytes `-1` must be a whole number of bytes, at least 0", ""},
		{"run --with-reset --reset-after 0", "--reset-after `0` must be above 0", ""},
		{"run --with-truncate --truncate-probability 2", "--truncate-probability `2` must be a number from 0 to 1", ""},
		{"run --duration soon", "--duration `soon` is not a duration", ""},
		{"run --duration 5x", "--duration `5x`: unknown unit `x`", ""},
		{"run --duration 0", "--duration `0` must be above 0", ""},
		{"run --duration=", "--duration is empty", ""},
		{"run --seed x", "--seed `x` must be a whole number", ""},
		{"run --upstream 10.0.0.0/40", "--upstream `10.0.0.0/40` is not a CIDR", ""},
		{"run --upstream=", "--upstream `` names no host", ""},
		{"run --proxy-address nowhere", "--proxy-address `nowhere` is not host:port", "127.0.0.1:3180"},
		{"run --proxy-address [::1]:3180", "--proxy-address `[::1]:3180` is not IPv4", ""},
		{"run --proxy-address 127.0.0.1:99999", "has a port", ""},
		{"run --proxy 9090", "--proxy `9090` has no `=`", ""},
		{"run --proxy 9090=ftp://h", "--proxy `9090=ftp://h` has the scheme `ftp`", ""},
		{"run --http-upstream-override h", "--http-upstream-override `h` has neither a port nor a scheme", "https://example.com:8443"},
		{"run --http-upstream-override tcp://h:1", "--http-upstream-override `tcp://h:1` has the scheme `tcp`; it must be http or https", ""},
		{"run --disable-http-proxy", "--disable-http-proxy leaves nothing to do", "--upstream '*'"},
		{"run --disable-http-proxy --transparent off -u *", "--disable-http-proxy leaves nothing to do", "--proxy"},
		{"run --transparent maybe", "--transparent `maybe` is unknown; it must be auto, on or off", ""},
		{"run --transparent on", "--transparent on needs --upstream", "`--upstream '*'`"},
		{"run --stealth", "--stealth needs --upstream", "`--upstream '*'`"},
		{"run --stealth --transparent off", "--stealth means `--transparent on`, but --transparent is `off`", "leave out one"},
		{"run --capture-process curl", "--process needs --upstream", "`--upstream '*'`"},
		{"run --capture-pid 1 -u !h", "--pid needs --upstream", "`--transparent on`"},
		{"run --capture-pid 0", "--pid `0` must be a whole number above 0", ""},
		{"run --capture-process=", "--process is empty", ""},
		{"run --process curl, -u *", "--process is empty", ""},
		{"run --user nobody-knows -u *", "--user `nobody-knows` is no user of this host; a number is taken in any case", ""},
		{"run --unit nginx -u *", "--unit `nginx` is not the name of a unit that has processes, such as nginx.service", ""},
		{"run --pid 1,x -u *", "--pid `x` must be a whole number above 0", ""},
		{"run --", "there is no command behind `--`", "-- curl"},
		{"run --transparent off -- curl", "a command is affected by interception, but --transparent is `off`", "leave it out"},
		{"run --json -- curl", "--json would write to stdout, which is the command's", "--json=PATH"},
		{"run curl -- x", "`fault run` takes no argument `curl`", ""},
		{"run --cgroup /x", "--cgroup needs --upstream", ""},
		{"run --netns a", "--netns needs --upstream", ""},
		{"run -u * --netns a,,b", "--netns is empty", ""},
		{"run --tls-ca /nowhere/at/all", "--tls-ca `/nowhere/at/all`: no such file", ""},
		{"run --tls-ca " + notPEM, "--tls-ca `" + notPEM + "`: there is no certificate in it", ""},
		{"run --tail=maybe", "--tail `maybe` is not what it takes: invalid syntax", ""},
		{"run --json=", "--json is empty", ""},
		{"run --json out.json", "`fault run` takes no argument `out.json`", "`--json=out.json`"},
		{"run --log-level loud", "--log-level `loud` is unknown", ""},
		{"run extra", "`fault run` takes no argument `extra`", "`fault run --help`"},
		{"rnu", "unknown command `rnu` for `fault`", "`fault --help`"},
		{"demo run a 1 b", "not also `b`", ""},
		{"demo run localhost http", "--port `http` must be a port, 0 to 65535", ""},
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
}

// TestVariablesRefused names the variable where a flag would be named.
func TestVariablesRefused(t *testing.T) {
	for _, tc := range []struct {
		vars map[string]string
		args string
		want string
	}{
		{map[string]string{"FAULT_LATENCY_MEAN": "fast"}, "run", "FAULT_LATENCY_MEAN (for --latency-mean) `fast` must be"},
		{map[string]string{"FAULT_WITH_LATENCY": "maybe"}, "run", "FAULT_WITH_LATENCY (for --with-latency) `maybe` is not"},
		{map[string]string{"FAULT_PROXY_MAPPINGS": "1=h:80, 2"}, "run", "FAULT_PROXY_MAPPINGS (for --proxy) `2` has no `=`"},
		{map[string]string{"FAULT_JITTER_SCHED": "5%"}, "run --with-jitter", "FAULT_JITTER_SCHED (for --jitter-sched) `5%`: "},
		{map[string]string{"FAULT_DISABLE_HTTP_PROXY": "yes"}, "run", "FAULT_DISABLE_HTTP_PROXY (for --disable-http-proxy) leaves nothing to do"},
		{map[string]string{"FAULT_EBPF_PROCESS_NAME": "curl"}, "run", "FAULT_EBPF_PROCESS_NAME (for --process) needs --upstream"},
		{map[string]string{"FAULT_TRANSPARENT": "off", "FAULT_ENABLE_STEALTH": "1"}, "run -u *",
			"FAULT_ENABLE_STEALTH (for --stealth) means `--transparent on`, but FAULT_TRANSPARENT (for --transparent) is `off`"},
	} {
		if o := try(tc.vars, strings.Fields(tc.args)...); o.ran || o.code != exitUsage || !strings.HasPrefix(o.stderr, "error: "+tc.want) {
			t.Errorf("%v: ran %v, exit %d, %s", tc.vars, o.ran, o.code, o.stderr)
		}
	}
}

// TestIdleFlags are said to do nothing, and the run goes on.
func TestIdleFlags(t *testing.T) {
	for args, want := range map[string]string{
		"run --latency-mean 300":                      "--latency-mean does nothing without --with-latency\n",
		"run --with-latency=false --latency-sched 5%": "--latency-sched does nothing without --with-latency\n",
		"run --with-latency --latency-mean 300 --latency-on connect --latency-per-read-write": "--latency-per-read-write does nothing with --latency-on connect\n",
		"run --latency-per-read-write=false":                                                  "",
		"run --http-response-status 500":                                                      "--http-response-status does nothing without --with-http-response\n",
		"run --with-latency --latency-mean 300 --latency-max 5":                               "--latency-max does nothing with --latency-distribution normal, which takes --latency-mean, --latency-stddev\n",
		"run --with-latency --latency-mean 300 --latency-side client":                         "",
		"run --tail --no-ui":                                                    "--tail does nothing with --no-ui\n",
		"run --transparent off --netns a,b":                                     "--netns does nothing with --transparent off\n",
		"run --transparent off --cgroup /x":                                     "--cgroup does nothing with --transparent off\n",
		"run --transparent off --capture-pid 5":                                 "--pid does nothing with --transparent off\n",
		"run --disable-http-proxy --proxy 1=h:80 --http-upstream-override h:80": "--http-upstream-override does nothing with --disable-http-proxy\n",
		"run --disable-http-proxy --proxy 1=h:80 --tls-skip-verify": "--tls-skip-verify does nothing where TLS is only passed through: " +
			"there is no proxy, and no --proxy to a TLS target\n",
		"run --disable-http-proxy --proxy 1=https://h --tls-skip-verify": "--tls-skip-verify: whoever answers in the place of an upstream is trusted\n",
		"run --json --log-stdout": "--log-stdout writes to stderr, as stdout is for --json alone\n",
	} {
		if want != "" {
			want = "warning: " + want
		}
		if o := try(nil, strings.Fields(args)...); !o.ran || !strings.HasPrefix(o.stderr, want) || want == "" && o.stderr != "" || strings.Count(o.stderr, "warning: ") > 1 {
			t.Errorf("%s: ran %v, %q, want %q", args, o.ran, o.stderr, want)
		}
	}
	want := "warning: FAULT_LATENCY_MEAN (for --latency-mean) does nothing without --with-latency\n"
	o := try(map[string]string{"FAULT_LATENCY_MEAN": "1"}, "run", "--seed", "1")
	if !o.ran || o.stderr != want || !slices.Equal(o.cfg.Replay, []string{"run", "--seed", "1"}) {
		t.Errorf("ran %v, %q, want %q; replay %q", o.ran, o.stderr, want, o.cfg.Replay)
	}
}

func TestTheIssuesCommand(t *testing.T) {
	o := try(nil, "--log-stdout", "run", "--proxy-address", "0.0.0.0:3180", "--upstream", "*",
		"--with-latency", "--latency-mean", "300", "--latency-stddev", "50")
	want := []faults.Planned{{Fault: faults.Latency{Delay: faults.Normal{Mean: 300 * ms, StdDev: 50 * ms}, On: toClient}}}
	if !o.ran || !reflect.DeepEqual(o.cfg.Faults, want) || o.cfg.Proxy.String() != "0.0.0.0:3180" || o.cfg.Seed == 0 {
		t.Errorf("%+v, %s", o.cfg, o.stderr)
	}
}

// TestOrderOfFaults is that in which pieces meet them, not that of the flags.
func TestOrderOfFaults(t *testing.T) {
	o := try(nil, strings.Fields("run --with-slow-close --with-slice --with-truncate --with-reset --with-http-response --with-bandwidth --with-blackhole --with-packet-loss --with-jitter --with-latency --latency-mean 1 --with-connect-error")...)
	var names []string
	for _, f := range o.cfg.Faults {
		names = append(names, f.Name())
	}
	if want := []string{"connect-error", "latency", "jitter", "packet-loss", "blackhole", "bandwidth", "http-response", "reset", "truncate", "slice", "slow-close"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q; %s", names, want, o.stderr)
	}
}

func TestBandwidthUnits(t *testing.T) {
	for unit, want := range map[string]float64{
		"Bps": 8, "KBps": 8e3, "MBps": 8e6, "GBps": 8e9, "bps": 1, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9,
	} {
		o := try(nil, "run", "--with-bandwidth", "--bandwidth-rate", "8", "--bandwidth-unit", unit)
		if got := first(o); got != (faults.Bandwidth{Rate: want, On: toClient}) {
			t.Errorf("%s: %+v, want %v; %s", unit, got, want, o.stderr)
		}
	}
}

// TestMappings are repeated as a flag, and separated in the variable.
func TestMappings(t *testing.T) {
	want := []string{"9090=https://h", "udp:53=8.8.8.8:53"}
	for _, o := range []outcome{
		try(nil, "run", "--proxy", want[0], "--proxy="+want[1]),
		try(map[string]string{"FAULT_PROXY_MAPPINGS": want[0] + " " + want[1]}, "run"),
		try(map[string]string{"FAULT_PROXY_MAPPINGS": want[0] + ", " + want[1] + "\n"}, "run"),
	} {
		if got := mapped(o); !reflect.DeepEqual(got, want) {
			t.Errorf("%q; %s", got, o.stderr)
		}
	}
	if o := try(nil, "run", "--proxy", "1=h:80,2=h:80"); o.ran {
		t.Errorf("a list of mappings: %q", mapped(o))
	}
}

// TestOutput is who writes what, and where.
func TestOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events")
	for args, want := range map[string]struct {
		stdout, file      string
		stderr, forPeople bool
		summaryJSON       bool
	}{
		"run":                             {stdout: "page\n", forPeople: true, summaryJSON: true},
		"run --json":                      {stdout: "{}\n"},
		"run --json --no-ui":              {stdout: "{}\n"},
		"run --json --tail":               {stdout: "{}\n"},
		"run --json --log-stdout":         {stdout: "{}\n", stderr: true},
		"run --json=" + file:              {stdout: "page\n", file: "{}\n", forPeople: true, summaryJSON: true},
		"run --json=" + file + " --no-ui": {file: "{}\n"},
		"run --no-ui":                     {},
	} {
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		o := try(nil, strings.Fields(args)...)
		written, _ := os.ReadFile(file)
		if !o.ran || o.stdout != want.stdout || string(written) != want.file || strings.Contains(o.stderr, "INFO") != want.stderr ||
			(o.cfg.Out != nil) != want.forPeople || o.cfg.SummaryJSON != want.summaryJSON {
			t.Errorf("%s: stdout %q, file %q, stderr %q, SummaryJSON %v", args, o.stdout, written, o.stderr, o.cfg.SummaryJSON)
		}
	}
	if o := try(nil, "run", "--json=/nowhere/at/all"); o.ran || o.code != exitFailure || !strings.Contains(o.stderr, "--json: open /nowhere/at/all") {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
}

// TestReplay is the flags that do something, wherever they came from.
func TestReplay(t *testing.T) {
	vars := map[string]string{"FAULT_WITH_LATENCY": "yes", "FAULT_LATENCY_MEAN": "300", "FAULT_UPSTREAMS": "*,!h", "FAULT_JITTER_FREQ": "9"}
	o := try(vars, strings.Fields("--log-stdout run --tail --duration 300 --proxy 1=h:80 --latency-stddev 0 --latency-side server --stealth --with-blackhole --proxy 2=h:80 --seed 7")...)
	want := strings.Fields("run --upstream *,!h --transparent on --proxy 1=h:80 --proxy 2=h:80 --with-latency --latency-mean 300 --latency-stddev 0 --with-blackhole --duration 5m --seed 7")
	if !slices.Equal(o.cfg.Replay, want) {
		t.Errorf("%q, want\n%q; %s", o.cfg.Replay, want, o.stderr)
	}
}

// TestDocumentedCommands start, and without a word.
func TestDocumentedCommands(t *testing.T) {
	for _, args := range []string{
		// As the Chaos Toolkit extension builds them.
		"--log-stdout run --proxy-address 0.0.0.0:3180 --with-latency --latency-mean 300 --latency-stddev 50 --upstream *",
		"--log-stdout --log-level debug run --proxy-address 0.0.0.0:3180 --upstream * --with-latency --latency-mean 300",
		"--log-stdout run --proxy-address 0.0.0.0:3180 --upstream * -u example.com --with-jitter --duration 30s",
		"--log-stdout run --proxy-address 0.0.0.0:3180 --upstream * --http-upstream-override svc:8080 --with-http-response",
		// As the original runs itself in containers and functions.
		"--log-stdout --log-level info run --no-ui --disable-http-proxy --proxy 3180=svc.default:8080",
		"--log-stdout --log-level debug,tower_http=debug run --no-ui --disable-http-proxy --upstream * --proxy 3180=10.0.0.1:80",
		"run --no-ui --proxy-address 0.0.0.0:3180 --upstream * --http-upstream-override svc:443",
		"run --no-ui --disable-http-proxy --proxy=3180=http://127.0.0.1:8080",
		// Of its pages.
		"run --with-latency --latency-distribution pareto_normal --latency-scale 20 --latency-shape 1.5 --latency-mean 50 --latency-stddev 5",
		"run --with-latency --latency-distribution paretonormal --latency-scale 20 --latency-shape 1.5 --latency-mean 50",
		"run --with-bandwidth --bandwidth-rate 500 --bandwidth-unit kbps --bandwidth-direction both",
		"run --upstream example.com --upstream https://www.google.com/ --with-packet-loss --packet-loss-side client",
		"run --proxy 9090=https://www.google.com --proxy 9091=tls://h:443 --proxy 9092=psqls://db --proxy localhost:9093=h:80",
		"run --with-latency --latency-mean 300 --latency-sched start:30s;duration:3m",
		"run --duration 5m --with-latency --latency-mean 300 --latency-sched start:20s,duration:5%;start:90%,duration:5%",
		"run --duration 45s --with-jitter --jitter-sched duration:10s;start:25s,duration:17s",
		"run --stealth --capture-process curl --with-latency --latency-mean 300",
		"run --stealth --capture-pid 4711 -u * --with-blackhole",
	} {
		if o := try(nil, strings.Fields(args)...); !o.ran || o.code != 0 || o.stderr != "" {
			t.Errorf("%s: exit %d, %s", args, o.code, o.stderr)
		}
	}
}

// TestRunHelp fits on a screen, and says what every flag is called.
func TestRunHelp(t *testing.T) {
	help := try(nil, "run", "--help").stdout
	for _, o := range []outcome{try(nil, "run", "-h"), try(nil, "help", "run")} {
		if o.stdout != help || o.code != 0 || o.stderr != "" {
			t.Errorf("they differ: exit %d, %s\n%s", o.code, o.stderr, o.stdout)
		}
	}
	rows := strings.Split(strings.TrimSuffix(help, "\n"), "\n")
	if len(rows) > 64 {
		t.Errorf("%d rows", len(rows))
	}
	rows = append(rows, strings.Split(try(nil, "help", "faults").stdout, "\n")...)
	for _, row := range rows {
		if utf8.RuneCountInString(row) > helpWidth {
			t.Errorf("too wide: %s", row)
		}
	}
	run, _, _ := newRoot(environment{}).Find([]string{"run"})
	run.Flags().VisitAll(func(f *pflag.Flag) {
		common := regexp.MustCompile(`-(side|direction|sched|probability)$`).MatchString(f.Name) && f.Name != "http-response-trigger-probability"
		if !f.Hidden && !common && !strings.Contains(help, "--"+f.Name) {
			t.Errorf("no --%s", f.Name)
		}
	})
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}, {"-V"}} {
		if o := try(nil, args...); o.code != 0 || !strings.HasPrefix(o.stdout, fmt.Sprintf("fault %s", version)) {
			t.Errorf("%v: exit %d, %q", args, o.code, o.stdout)
		}
	}
}
