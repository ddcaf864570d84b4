package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/parent"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// setting is a flag with its variable, and what a value of it does.
type setting struct {
	flag, variable string
	value, other   string // of the flag, and of the variable when both are given
	rest           string // of the command line
	got            func(outcome) any
	want           any
}

// selected is the callers of a run.
func selected(o outcome) any {
	var texts []string
	for _, c := range o.cfg.Callers {
		texts = append(texts, c.String())
	}
	return strings.Join(texts, ", ")
}

// everySetting is all flags of `fault run`, and all their variables.
func everySetting(t *testing.T) []setting {
	dir := t.TempDir()
	settings := []setting{
		{"log-file", "FAULT_LOG_FILE", os.DevNull, "/nowhere/at/all", "", func(o outcome) any { return o.code }, 0},
		{"log-stdout", "FAULT_WITH_STDOUT_LOGGING", "true", "false", "", func(o outcome) any { return strings.Contains(o.stdout, "INFO") }, true},
		{"log-level", "FAULT_LOG_LEVEL", "error,hyper=trace", "debug", "--log-stdout", func(o outcome) any { return strings.Contains(o.stdout, "INFO") }, false},
		{"api-address", "FAULT_API_SERVICE_ADDRESS", "0.0.0.0:7900", "x", "", func(o outcome) any { return o.stderr }, ""},

		{"upstream", "FAULT_UPSTREAMS", "*,!10.0.0.0/8", "example.com", "", func(o outcome) any { return o.cfg.Upstreams.String() }, "*,!10.0.0.0/8"},
		{"transparent", "FAULT_TRANSPARENT", "off", "on", "", func(o outcome) any { return o.cfg.Transparent }, agent.Off},
		{"stealth", "FAULT_ENABLE_STEALTH", "true", "false", "--upstream *", func(o outcome) any { return o.cfg.Transparent }, agent.On},
		{"netns", "FAULT_NETNS", "self,/proc/self/ns/net", "self", "-u *", func(o outcome) any { return o.cfg.Netns }, []string{"self", "/proc/self/ns/net"}},
		{"proxy-address", "FAULT_HTTP_PROXY_ADDRESS", "http://0.0.0.0:4000", "127.0.0.1:1", "", func(o outcome) any { return o.cfg.Proxy.String() }, "0.0.0.0:4000"},
		{"proxy-address", "FAULT_PROXY_ADDRESS", "localhost:4000", "127.0.0.1:1", "", func(o outcome) any { return o.cfg.Proxy.String() }, "127.0.0.1:4000"},
		{"disable-http-proxy", "FAULT_DISABLE_HTTP_PROXY", "true", "false", "--proxy 9090=h:80", func(o outcome) any { return o.cfg.NoProxy }, true},
		{"proxy", "FAULT_PROXY_MAPPINGS", "3180=http://127.0.0.1:8080", "1=h:80", "", mapped, []string{"3180=http://127.0.0.1:8080"}},
		{"http-upstream-override", "FAULT_HTTP_UPSTREAM_OVERRIDE", "svc:8443", "h:1", "", func(o outcome) any { return o.cfg.HTTPUpstream }, &proxy.Target{Host: "svc", Port: 8443}},
		{"process", "FAULT_PROCESS", "curl,/usr/bin/wget", "wget", "-u *", selected, "process curl, process /usr/bin/wget"},
		{"process", "FAULT_EBPF_PROCESS_NAME", "curl", "wget", "-u *", selected, "process curl"},
		{"pid", "FAULT_PID", "4711,1", "2", "-u *", selected, "pid 4711, pid 1"},
		{"pid", "FAULT_EBPF_PROCESS_PID", "4711", "1", "-u *", selected, "pid 4711"},
		{"user", "FAULT_USER", "root,33", "7", "-u *", selected, "user root, user 33"},
		{"cgroup", "FAULT_CGROUP", "/system.slice", "/x", "-u *", selected, "cgroup /system.slice"},
		{"unit", "FAULT_UNIT", "nginx.service", "x.service", "-u *", selected, "unit nginx.service"},
		{"container", "FAULT_CONTAINER", "web,0123456789ab", "db", "-u *", selected, "container web, container 0123456789ab"},
		{"exclude-process", "FAULT_EXCLUDE_PROCESS", "curl", "wget", "-u *", selected, "exclude-process curl"},
		{"reset-existing", "FAULT_RESET_EXISTING", "true", "false", "-u *", func(o outcome) any { return o.cfg.ResetExisting }, true},
		{"quic", "FAULT_QUIC", "block", "pass", "-u *", func(o outcome) any { return o.cfg.BlockQUIC }, true},
		{"tls-ca", "FAULT_TLS_CA", authority(t), "/nowhere/at/all", "", func(o outcome) any { return o.cfg.TLS != nil && o.cfg.TLS.RootCAs != nil }, true},
		{"tls-skip-verify", "FAULT_TLS_SKIP_VERIFY", "true", "false", "", func(o outcome) any { return o.cfg.TLS }, &tls.Config{InsecureSkipVerify: true}},

		{"duration", "FAULT_PROXY_DURATION", "1m30s", "1", "", func(o outcome) any { return o.cfg.Duration }, 90 * time.Second},
		{"seed", "FAULT_SEED", "18446744073709551615", "7", "", func(o outcome) any { return o.cfg.Seed }, uint64(1<<64 - 1)},
		{"precise", "FAULT_PRECISE", "true", "false", "", func(o outcome) any { return o.cfg.Precise }, true},
		{"link-buffer", "FAULT_LINK_BUFFER", "1MiB", "64KiB", "", func(o outcome) any { return o.cfg.Buffers.Link }, int64(1 << 20)},
		{"total-buffer", "FAULT_TOTAL_BUFFER", "1GiB", "32MiB", "", func(o outcome) any { return o.cfg.Buffers.Total }, int64(1 << 30)},
		{"fail-if-idle", "FAULT_FAIL_IF_IDLE", "true", "false", "", func(o outcome) any { return o.cfg.FailIfIdle }, true},
		{"ready-file", "FAULT_READY_FILE", filepath.Join(dir, "ready"), filepath.Join(dir, "other"), "", func(o outcome) any { return o.files }, []string{"http://127.0.0.1:3180\n"}},
		{"pid-file", "FAULT_PID_FILE", filepath.Join(dir, "pid"), filepath.Join(dir, "other"), "", func(o outcome) any { return o.files }, []string{fmt.Sprintln(os.Getpid())}},
		{"stay", "FAULT_STAY", "true", "false", "", func(o outcome) any { return o.cfg.StartedBy }, parent.Process{}},
		{"tail", "FAULT_PROXY_TAILING", "true", "false", "", func(o outcome) any { return o.cfg.Tail }, true},
		{"json", "FAULT_JSON", "true", "false", "", func(o outcome) any { return o.stdout }, "{}\n"},
		{"json", "FAULT_JSON", os.DevNull, "true", "", func(o outcome) any { return o.stdout == "page\n" && o.cfg.JSON != nil }, true},
		{"no-ui", "FAULT_PROXY_NO_UI", "true", "false", "", func(o outcome) any { return o.cfg.Out == nil }, true},

		{"with-connect-error", "FAULT_WITH_CONNECT_ERROR", "true", "false", "", first, faults.ConnectError{Kind: faults.Refused, Probability: 1}},
		{"connect-error-kind", "FAULT_CONNECT_ERROR_KIND", "host-unreachable", "reset", "--with-connect-error", first, faults.ConnectError{Kind: faults.HostUnreachable, Probability: 1}},
		{"connect-error-probability", "FAULT_CONNECT_ERROR_PROBABILITY", "0.25", "1", "--with-connect-error", first, faults.ConnectError{Kind: faults.Refused, Probability: .25}},
		{"connect-error-sched", "FAULT_CONNECT_ERROR_SCHED", "start:5s", "start:1s", "--with-connect-error", when, "from 0:05"},

		{"with-latency", "FAULT_WITH_LATENCY", "true", "false", "--latency-mean 300", countFaults, 1},
		{"latency-mean", "FAULT_LATENCY_MEAN", "12.5", "1", "--with-latency", delay, faults.Normal{Mean: 12500 * time.Microsecond}},
		{"latency-stddev", "FAULT_LATENCY_STANDARD_DEVIATION", "50", "1", "--with-latency --latency-mean 300", delay, faults.Normal{Mean: 300 * ms, StdDev: 50 * ms}},
		{"latency-min", "FAULT_LATENCY_MIN", "10", "1", "--with-latency --latency-distribution uniform --latency-max 20", delay, faults.Uniform{Min: 10 * ms, Max: 20 * ms}},
		{"latency-max", "FAULT_LATENCY_MAX", "30", "1", "--with-latency --latency-distribution uniform", delay, faults.Uniform{Max: 30 * ms}},
		{"latency-scale", "FAULT_LATENCY_SCALE", "20", "1", "--with-latency --latency-distribution pareto --latency-shape 1.5", delay, faults.Pareto{Scale: 20 * ms, Shape: 1.5}},
		{"latency-shape", "FAULT_LATENCY_SHAPE", "2.5", "1", "--with-latency --latency-distribution pareto --latency-scale 20", delay, faults.Pareto{Scale: 20 * ms, Shape: 2.5}},
		{"latency-distribution", "FAULT_LATENCY_DISTRIBUTION", "paretonormal", "normal", "--with-latency --latency-scale 20 --latency-shape 2 --latency-mean 5", delay,
			faults.ParetoNormal{Pareto: faults.Pareto{Scale: 20 * ms, Shape: 2}, Normal: faults.Normal{Mean: 5 * ms}}},
		{"latency-distribution", "FAULT_LATENCY_DISTRIBUTION", "pareto_normal", "normal", "--with-latency --latency-scale 20 --latency-shape 2 --latency-mean 5", delay,
			faults.ParetoNormal{Pareto: faults.Pareto{Scale: 20 * ms, Shape: 2}, Normal: faults.Normal{Mean: 5 * ms}}},
		{"latency-per-read-write", "FAULT_LATENCY_PER_READ_WRITE", "true", "false", "--with-latency --latency-mean 300", func(o outcome) any { latency, _ := first(o).(faults.Latency); return latency.PerReadWrite }, true},

		{"latency-on", "FAULT_LATENCY_ON", "connect", "data", "--with-latency --latency-mean 300", phase, faults.AtConnect},
		{"latency-on", "FAULT_LATENCY_ON", "both", "data", "--with-latency --latency-mean 300", phase, faults.AtBoth},
		{"latency-on", "FAULT_LATENCY_ON", "data", "both", "--with-latency --latency-mean 300", phase, faults.AtData},

		{"with-jitter", "FAULT_WITH_JITTER", "true", "false", "", first, faults.Jitter{Amplitude: 20 * ms, Frequency: 5, On: toClient}},
		{"jitter-amplitude", "FAULT_JITTER_AMPLITUDE", "7.5", "1", "--with-jitter", first, faults.Jitter{Amplitude: 7500 * time.Microsecond, Frequency: 5, On: toClient}},
		{"jitter-frequency", "FAULT_JITTER_FREQ", "0.5", "1", "--with-jitter", first, faults.Jitter{Amplitude: 20 * ms, Frequency: .5, On: toClient}},

		{"with-packet-loss", "FAULT_WITH_PACKET_LOSS", "true", "false", "", first, faults.PacketLoss{On: toClient}},
		{"packet-loss-rate", "FAULT_PACKET_LOSS_RATE", "0.03", "1", "--with-packet-loss", first, faults.PacketLoss{Rate: .03, On: toClient}},

		{"with-blackhole", "FAULT_WITH_BLACKHOLE", "true", "false", "", first, faults.Blackhole{On: toClient}},

		{"with-bandwidth", "FAULT_WITH_BANDWIDTH", "true", "false", "", first, faults.Bandwidth{Rate: 1000, On: toClient}},
		{"bandwidth-rate", "FAULT_BANDWIDTH_RATE", "5", "1", "--with-bandwidth", first, faults.Bandwidth{Rate: 5, On: toClient}},
		{"bandwidth-unit", "FAULT_BANDWIDTH_UNIT", "kbps", "Bps", "--with-bandwidth", first, faults.Bandwidth{Rate: 125000, On: toClient}},

		{"with-http-response", "FAULT_WITH_HTTP_FAULT", "true", "false", "", first, faults.HTTPResponse{Status: 500, Probability: 1}},
		{"http-response-status", "FAULT_HTTP_FAULT_STATUS", "503", "404", "--with-http-response", first, faults.HTTPResponse{Status: 503, Probability: 1}},
		{"http-response-body", "FAULT_HTTP_FAULT_BODY", `{"a": "b"}`, "x", "--with-http-response", first, faults.HTTPResponse{Status: 500, Body: `{"a": "b"}`, Probability: 1}},
		{"http-response-trigger-probability", "FAULT_HTTP_FAULT_PROBABILITY", "0.25", "1", "--with-http-response", first, faults.HTTPResponse{Status: 500, Probability: .25}},
		{"with-reset", "FAULT_WITH_RESET", "true", "false", "", first, faults.Reset{On: toClient}},
		{"reset-after-bytes", "FAULT_RESET_AFTER_BYTES", "4096", "1", "--with-reset", first, faults.Reset{AfterBytes: 4096, On: toClient}},
		{"reset-after-bytes", "FAULT_RESET_AFTER_BYTES", "0", "1", "--with-reset --reset-after 5", first, faults.Reset{After: 5 * time.Second, On: toClient}},
		{"reset-after", "FAULT_RESET_AFTER", "1m30s", "1", "--with-reset", first, faults.Reset{AfterBytes: faults.Unlimited, After: 90 * time.Second}},
		{"reset-after", "FAULT_RESET_AFTER", "200ms", "1", "--with-reset --reset-after-bytes 7", first, faults.Reset{AfterBytes: 7, After: 200 * ms, On: toClient}},

		{"with-truncate", "FAULT_WITH_TRUNCATE", "true", "false", "", first, faults.Truncate{On: toClient}},
		{"truncate-after-bytes", "FAULT_TRUNCATE_AFTER_BYTES", "100", "1", "--with-truncate", first, faults.Truncate{AfterBytes: 100, On: toClient}},

		{"with-slice", "FAULT_WITH_SLICE", "true", "false", "", first, faults.Slice{Size: 100, On: toClient}},
		{"slice-size", "FAULT_SLICE_SIZE", "7", "1", "--with-slice", first, faults.Slice{Size: 7, On: toClient}},
		{"slice-size-variation", "FAULT_SLICE_SIZE_VARIATION", "99", "1", "--with-slice", first, faults.Slice{Size: 100, Variation: 99, On: toClient}},
		{"slice-delay", "FAULT_SLICE_DELAY", "2.5", "1", "--with-slice", first, faults.Slice{Size: 100, Delay: 2500 * time.Microsecond, On: toClient}},

		{"with-slow-close", "FAULT_WITH_SLOW_CLOSE", "true", "false", "", first, faults.SlowClose{Delay: time.Second, On: toClient}},
		{"slow-close-delay", "FAULT_SLOW_CLOSE_DELAY", "0.5", "1", "--with-slow-close", first, faults.SlowClose{Delay: 500 * time.Microsecond, On: toClient}},

		{"http-response-probability", "FAULT_HTTP_RESPONSE_PROBABILITY", "0.25", "1", "--with-http-response", share, .25},
		{"http-response-sched", "FAULT_HTTP_FAULT_SCHED", "start:5s", "start:1s", "--with-http-response", when, "from 0:05"},
	}
	for name, f := range map[string]struct{ variable, rest string }{
		"latency":     {"LATENCY", "--with-latency --latency-mean 1"},
		"jitter":      {"JITTER", "--with-jitter"},
		"packet-loss": {"PACKET_LOSS", "--with-packet-loss"},
		"blackhole":   {"BLACKHOLE", "--with-blackhole"},
		"bandwidth":   {"BANDWIDTH", "--with-bandwidth"},
		"reset":       {"RESET", "--with-reset"},
		"truncate":    {"TRUNCATE", "--with-truncate"},
		"slice":       {"SLICE", "--with-slice"},
		"slow-close":  {"SLOW_CLOSE", "--with-slow-close"},
	} {
		settings = append(settings,
			setting{name + "-side", "FAULT_" + f.variable + "_SIDE", "client", "server", f.rest, links, "to server"},
			setting{name + "-direction", "FAULT_" + f.variable + "_DIRECTION", "both", "egress", f.rest, links, "both links"},
			setting{name + "-direction", "FAULT_" + f.variable + "_DIRECTION", "egress", "both", f.rest, links, "to server"},
			setting{name + "-sched", "FAULT_" + f.variable + "_SCHED", "start:10%,duration:30s;start:2m", "start:1s", f.rest + " --duration 10m", when, "from 1:00 to 1:30, from 2:00"},
			setting{name + "-probability", "FAULT_" + f.variable + "_PROBABILITY", "0.25", "1", f.rest, share, .25},
			setting{name + "-probability", "FAULT_" + f.variable + "_PROBABILITY", "1", "0.5", f.rest, share, 1.},
			setting{name + "-sched", "FAULT_" + f.variable + "_SCHED", "start:30s;duration:3m", "start:1s", f.rest, when, "from 0:30 to 3:30"},
		)
	}
	return settings
}

// What a run got, if it came to be.

func first(o outcome) any {
	if len(o.cfg.Faults) == 0 {
		return nil
	}
	return o.cfg.Faults[0].Fault
}

func links(o outcome) any {
	if len(o.cfg.Faults) == 0 {
		return nil
	}
	return o.cfg.Faults[0].Links().String()
}

func countFaults(o outcome) any { return len(o.cfg.Faults) }

func delay(o outcome) any {
	latency, _ := first(o).(faults.Latency)
	return latency.Delay
}

func phase(o outcome) any {
	latency, _ := first(o).(faults.Latency)
	return latency.Phase
}

func when(o outcome) any {
	if len(o.cfg.Faults) == 0 {
		return nil
	}
	return o.cfg.Faults[0].Schedule.String()
}

func share(o outcome) any {
	if len(o.cfg.Faults) == 0 || o.cfg.Faults[0].Probability == nil {
		return nil
	}
	return *o.cfg.Faults[0].Probability
}

func mapped(o outcome) any {
	var texts []string
	for _, m := range o.cfg.Mappings {
		texts = append(texts, m.String())
	}
	return texts
}

// authority is a PEM file with a certificate.
func authority(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFlagsAndVariables gives each setting as a flag, as a variable, and as
// both, when the flag counts; and then starts the run again as it says that it
// could be.
func TestFlagsAndVariables(t *testing.T) {
	for _, s := range everySetting(t) {
		args := append([]string{"run"}, strings.Fields(s.rest)...)
		byFlag := append(args[:len(args):len(args)], "--"+s.flag+"="+s.value)
		for how, o := range map[string]outcome{
			"flag":     try(nil, byFlag...),
			"variable": try(map[string]string{s.variable: s.value}, args...),
			"both":     try(map[string]string{s.variable: s.other}, byFlag...),
		} {
			if got := s.got(o); !o.ran || o.code != 0 || !reflect.DeepEqual(got, s.want) {
				t.Errorf("%s by %s: %v, want %v; exit %d, %s", s.flag, how, got, s.want, o.code, o.stderr)
			}
			if again := try(nil, o.cfg.Replay...); !reflect.DeepEqual(essence(again), essence(o)) {
				t.Errorf("%s by %s: %q is\n%+v, not\n%+v", s.flag, how, o.cfg.Replay, again.cfg, o.cfg)
			}
		}
		if o := try(map[string]string{s.variable: ""}, args...); strings.Contains(o.stderr, s.variable) {
			t.Errorf("%s empty: %s", s.variable, o.stderr)
		}
	}
}

// essence is a configuration without what a run writes, where, and who ends it.
func essence(o outcome) agent.Config {
	cfg := o.cfg
	cfg.Out, cfg.JSON, cfg.SummaryJSON, cfg.Tail = nil, nil, false, false
	cfg.Log, cfg.Warn, cfg.Hurry, cfg.Ready, cfg.StartedBy = nil, nil, nil, nil, parent.Process{}
	if cfg.TLS != nil && cfg.TLS.RootCAs != nil {
		cfg.TLS = &tls.Config{} // the functions in it do not compare
	}
	return cfg
}

// TestEveryFlagIsKnown holds that the settings above are all that there are,
// and that each is in the help.
func TestEveryFlagIsKnown(t *testing.T) {
	tested := make(map[string]bool)
	for _, s := range everySetting(t) {
		tested[s.flag], tested[s.variable] = true, true
	}
	topic := try(nil, "help", "faults").stdout
	run, _, err := newRoot(environment{}).Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	check := func(f *pflag.Flag) {
		variables := f.Annotations[variableAnnotation]
		switch {
		case f.Hidden, noVariable[f.Name] != "" && f.Name != "json":
			return
		case f.Usage == "" || len(variables) == 0:
			t.Errorf("--%s has no help or no variable", f.Name)
		case !strings.Contains(topic, "--"+f.Name):
			t.Errorf("`fault help faults` has no --%s", f.Name)
		}
		for _, name := range append(variables, f.Name) {
			if !tested[name] {
				t.Errorf("%s is not tested", name)
			}
			if !strings.Contains(topic, name) {
				t.Errorf("`fault help faults` has no %s", name)
			}
		}
	}
	run.Flags().VisitAll(check)
	run.InheritedFlags().VisitAll(check)
}

// TestLeftovers are taken, do nothing, and say so.
func TestLeftovers(t *testing.T) {
	for _, l := range leftovers {
		want := "warning: --" + l.flag + " does nothing " + l.why + "\n"
		if o := try(nil, "run", "--"+l.flag, "x"); !o.ran || o.stderr != want || slices.Contains(o.cfg.Replay, "--"+l.flag) {
			t.Errorf("--%s: ran %v, %q", l.flag, o.ran, o.stderr)
		}
		if l.variable == "" {
			continue
		}
		want = "warning: " + l.variable + " (for --" + l.flag + ") does nothing " + l.why + "\n"
		if o := try(map[string]string{l.variable: "x"}, "run"); !o.ran || o.stderr != want {
			t.Errorf("%s: ran %v, %q", l.variable, o.ran, o.stderr)
		}
	}
	if help := try(nil, "run", "--help").stdout + try(nil, "help", "faults").stdout; strings.Contains(help, "ebpf-") {
		t.Error("they are in the help")
	}
}
