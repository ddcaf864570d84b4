package main

import (
	"strings"
	"testing"
)

// TestRefusedInFull is all that is said about a command line that makes no
// sense, where a few letters may be wrong.
func TestRefusedInFull(t *testing.T) {
	for args, want := range map[string]string{
		"run --with-latncy": "error: unknown flag `--with-latncy` for `fault run`\n" +
			"hint: did you mean `--with-latency`? `fault run --help` lists the flags\n",
		"run --with-bandwidth --bandwidth-rate 1 --bandwidth-unit Mb/s": "error: --bandwidth-unit `Mb/s` is unknown; " +
			"it must be Bps, KBps, MBps, GBps (bytes) or bps, kbps, mbps, gbps (bits)\n" +
			"hint: a million bits a second is `--bandwidth-rate 1 --bandwidth-unit mbps`\n",
		"run --with-latency --latency-distribution uniform --latency-min 50 --latency-max 10": "error: --latency-min 50 is above --latency-max 10 (both in ms)\n" +
			"hint: did you mean `--latency-min 10 --latency-max 50`?\n",
		"run --with-latency --latency-mean 300 --latency-sched start:90%,duration:5%": "error: --latency-sched `start:90%,duration:5%` uses percentages, which need --duration\n" +
			"hint: add `--duration 10m`, or write times: `start:9m,duration:30s`\n",

		"run --latency-distribution uniforn": "error: --latency-distribution `uniforn` is unknown; it must be normal, uniform, pareto or pareto-normal\n" +
			"hint: did you mean `uniform`?\n",
		"run --latency-distribution flat": "error: --latency-distribution `flat` is unknown; it must be normal, uniform, pareto or pareto-normal\n",
		"run --jitter-side Server":        "error: --jitter-side `Server` is unknown; it must be server or client\nhint: did you mean `server`?\n",
		"run --log-level wam":             "error: --log-level `wam` is unknown; it must be debug, info, warn or error\n",
		"run --log-level eror":            "error: --log-level `eror` is unknown; it must be debug, info, warn or error\nhint: did you mean `error`?\n",
		"run --bandwidth-unit Mbps":       "error: --bandwidth-unit `Mbps` is unknown; it must be Bps, KBps, MBps, GBps (bytes) or bps, kbps, mbps, gbps (bits)\nhint: a million bits a second is `--bandwidth-rate 1 --bandwidth-unit mbps`\n",
		"run -latency-mean 300":           "error: unknown flag `-l` for `fault run`\nhint: did you mean `--latency-mean`? `fault run --help` lists the flags\n",
		"run -x":                          "error: unknown flag `-x` for `fault run`\nhint: `fault run --help` lists the flags\n",
		"run --ebpf-proxy-part 1":         "error: unknown flag `--ebpf-proxy-part` for `fault run`\nhint: `fault run --help` lists the flags\n",
		"demo run --with-latency":         "error: unknown flag `--with-latency` for `fault demo run`\nhint: it is a flag of another command: `fault run --with-latency`\n",
		"rum":                             "error: unknown command `rum` for `fault`\nhint: did you mean `run`? `fault --help` lists the commands\n",
		"explode":                         "error: unknown command `explode` for `fault`\nhint: `fault --help` lists the commands\n",
		"demo ran":                        "error: unknown command `ran` for `fault demo`\nhint: did you mean `run`? `fault demo --help` lists the commands\n",
		"help upstreem":                   "error: unknown help topic `upstreem`\nhint: did you mean `upstreams`? `fault help` lists the topics\n",
		"help run extra":                  "error: unknown help topic `run extra`\nhint: `fault help` lists the topics\n",
		"completion bsh":                  "error: unknown command `bsh` for `fault completion`\nhint: did you mean `bash`? `fault completion --help` lists the commands\n",
		"completion bash extra":           "error: `fault completion bash` takes no argument `extra`\nhint: `fault completion bash --help` shows what it takes\n",
	} {
		if o := try(nil, strings.Fields(args)...); o.ran || o.code != exitUsage || o.stdout != "" || o.stderr != want {
			t.Errorf("%s: exit %d, ran %v, %q\n%s\nwant\n%s", args, o.code, o.ran, o.stdout, o.stderr, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"latency-mean", "latency-min", "latency-max", "seed", "tail"}
	for typed, want := range map[string]string{
		"latency-mean": "latency-mean", "latency-men": "latency-mean", "latency-mx": "latency-max", "LATENCY-MIN": "latency-min",
		"sed": "seed", "tial": "", "mean": "", "x": "", "": "",
	} {
		if got := nearest(typed, names); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}
