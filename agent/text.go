package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// page collects a text of labelled lines.
type page struct{ strings.Builder }

func (p *page) line(label, format string, args ...any) {
	fmt.Fprintf(p, "  %-10s  "+format+"\n", append([]any{label}, args...)...)
}

// startPage says what the run does, once it does.
func startPage(cfg *Config, cut *interception, at netip.AddrPort, took time.Duration) string {
	var p page
	fmt.Fprintf(&p, "fault %s  pid %d\nseed %d\n\n", cfg.Version, os.Getpid(), cfg.Seed)
	p.line("intercepts", "%s", intercepts(cut))
	if len(cfg.Upstreams) == 0 {
		p.line("upstreams", "none: only what clients send to the proxy")
	} else {
		p.line("upstreams", "%s", upstreams(cfg, cut))
	}
	if len(cfg.Faults) == 0 {
		p.line("faults", "none: everything passes through")
	}
	for i, f := range cfg.Faults {
		label := ""
		if i == 0 {
			label = "faults"
		}
		p.line(label, "%-9s  %s", f.Name(), f)
	}
	for _, f := range cfg.Faults {
		if l, ok := f.(faults.Latency); ok {
			p.line("expect", "latency p50 %s, p95 %s, p99 %s ms",
				ms(faults.Quantile(l.Delay, .5)), ms(faults.Quantile(l.Delay, .95)), ms(faults.Quantile(l.Delay, .99)))
		}
	}
	p.line("proxy", "http://%v for clients that ask for it", at)
	if cut.programs == nil {
		p.line("try", "curl -x http://%v http://example.com/", reachable(at))
	} else {
		p.line("untouched", "connections that are already open; other network namespaces")
	}
	p.line("ends", "%son SIGINT (Ctrl-C), SIGTERM or SIGHUP", after(cfg.Duration))
	fmt.Fprintf(&p, "\nready after %d ms\n\n", took.Milliseconds())
	return p.String()
}

func intercepts(cut *interception) string {
	switch {
	case cut.programs == nil && cut.explicit == "":
		return "nothing"
	case cut.programs == nil:
		return "nothing: " + cut.explicit
	}
	where := "this network namespace"
	if cut.cgroup != "" {
		where += " and cgroup " + cut.cgroup
	}
	families := "IPv4 and IPv6"
	if err := cut.programs.IPv6(); err != nil {
		families = fmt.Sprintf("IPv4; IPv6 is left alone: %v", err)
	}
	return fmt.Sprintf("every new TCP connection from %s, %s", where, families)
}

func upstreams(cfg *Config, cut *interception) string {
	text := cfg.Upstreams.String()
	for _, p := range cfg.Upstreams {
		if p.Any && !p.Exclude && p.Port == 0 && cut.programs != nil {
			return text + " except loopback and DNS, unless named"
		}
	}
	return text
}

// reachable is an address to connect to; a wildcard is none everywhere.
func reachable(at netip.AddrPort) netip.AddrPort {
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return at
}

func after(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("after %v, or ", d)
}

// summary says what happened.
func summary(r *Report) string {
	var p page
	fmt.Fprintf(&p, "\nfault ended after %v (%s)\n\n", r.Lasted.Round(time.Millisecond), r.Reason)
	for _, in := range r.Injected {
		p.injected(in)
	}
	p.line("flows", "%-4d %d matched, %d passed through; %d cut off at the end",
		r.Flows, r.Matched, r.Flows-r.Matched, r.CutOff)
	p.line("bytes", "%d to client, %d to server", r.Bytes[faults.ToClient], r.Bytes[faults.ToServer])
	if r.Connects != nil {
		passed := []bpf.Verdict{bpf.Intercepted, bpf.Agent}
		p.counts("left alone", r.Connects, passed)
	}
	p.counts("errors", r.Errors, nil)
	if r.Matched == 0 {
		p.WriteString("\nno flow matched: nothing was tested\n")
	}
	return p.String()
}

// injected is a table of what was asked for and what was done, in ms.
func (p *page) injected(in Injected) {
	latency, ok := in.Fault.(faults.Latency)
	if !ok {
		return
	}
	fmt.Fprintf(p, "%24s %8s %8s %8s %8s %8s  ms\n", "n", "mean", "p50", "p95", "p99", "max")
	mean := "-"
	if m, ok := faults.Expected(latency.Delay); ok {
		mean = ms(m)
	}
	q := func(x float64) string { return ms(faults.Quantile(latency.Delay, x)) }
	fmt.Fprintf(p, "  %-10s%-9s%3s %8s %8s %8s %8s %8s\n", "latency", "asked", "-", mean, q(.5), q(.95), q(.99), "-")
	for link, h := range in.Delay {
		if !latency.On.Has(faults.Link(link)) {
			continue
		}
		p.measured("injected", h, 1, faults.Link(link))
		p.measured("late", in.Late[link], 2, faults.Link(link))
	}
	p.WriteString("\n")
}

func (p *page) measured(what string, h *hdrhistogram.Histogram, digits int, link faults.Link) {
	n := h.TotalCount()
	value := func(us float64) string {
		if n == 0 {
			return "-"
		}
		return fmt.Sprintf("%.*f", digits, us/1000)
	}
	q := func(x float64) string { return value(float64(h.ValueAtQuantile(x))) }
	fmt.Fprintf(p, "            %-8s%4d %8s %8s %8s %8s %8s  %s\n", what, n,
		value(h.Mean()), q(50), q(95), q(99), value(float64(h.Max())), strings.ReplaceAll(link.String(), "-", " "))
}

// counts is a total and its parts, the largest first.
func (p *page) counts(label string, all any, except []bpf.Verdict) {
	parts := make(map[string]uint64)
	switch all := all.(type) {
	case map[string]uint64:
		maps.Copy(parts, all)
	case map[bpf.Verdict]uint64:
		for v, n := range all {
			if !slices.Contains(except, v) {
				parts[string(v)] = n
			}
		}
	}
	var total uint64
	words := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		if parts[a] != parts[b] {
			return int(parts[b]) - int(parts[a])
		}
		return strings.Compare(a, b)
	})
	texts := make([]string, 0, len(words))
	for _, w := range words {
		total += parts[w]
		texts = append(texts, fmt.Sprintf("%d %s", parts[w], w))
	}
	p.line(label, "%s", strings.TrimRight(fmt.Sprintf("%-4d %s", total, strings.Join(texts, ", ")), " "))
}

// flowLine is one flow that ended, in a form for people and grep alike.
func flowLine(now time.Time, f *proxy.Flow, failure string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s -> %s", now.UTC().Format("2006-01-02T15:04:05.000Z"), caller(f), lines.Shown(f.Host, 80))
	if f.Matched {
		b.WriteString(" matched")
	} else {
		b.WriteString(" passed")
	}
	if n := f.Injected[0].Pieces + f.Injected[1].Pieces; n > 0 {
		fmt.Fprintf(&b, " latency=%.1fms", f.Delay().Seconds()*1000)
	}
	fmt.Fprintf(&b, " to_client=%dB to_server=%dB lasted=%.3fs", f.Bytes[faults.ToClient], f.Bytes[faults.ToServer], f.Lasted.Seconds())
	if failure != "" {
		fmt.Fprintf(&b, " error=%s", failure)
	}
	return b.String() + "\n"
}

// caller is who a flow belongs to.
func caller(f *proxy.Flow) string {
	if f.Entry != proxy.EntryIntercepted {
		return fmt.Sprintf("client[%v]", f.Client)
	}
	return fmt.Sprintf("%s[%d]", lines.Shown(f.Process.Name, 15), f.Process.PID)
}

func logFlow(log *zap.Logger, f *proxy.Flow, failure string) {
	entry := log.Check(zap.InfoLevel, "flow ended")
	if entry == nil {
		return
	}
	fields := []zap.Field{
		zap.Uint64("flow", f.ID), zap.String("entered_by", string(f.Entry)), zap.Stringer("client", f.Client),
		zap.String("process", f.Process.Name), zap.Uint32("pid", f.Process.PID),
		zap.String("host", f.Host), zap.Bool("matched", f.Matched),
		zap.Int64("to_client_bytes", f.Bytes[faults.ToClient]), zap.Int64("to_server_bytes", f.Bytes[faults.ToServer]),
		zap.Float64("delay_ms", f.Delay().Seconds()*1000), zap.Float64("lasted_ms", f.Lasted.Seconds()*1000),
	}
	if failure != "" {
		fields = append(fields, zap.String("failure", failure), zap.Error(f.Err))
	}
	entry.Write(fields...)
}

// ms prints a duration in milliseconds, to a tenth.
func ms(d time.Duration) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)), ".0")
}
