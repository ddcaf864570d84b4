package agent

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// run is a run in which nothing is real but the clock's order: all that it
// writes, to people and to programs.
func run(t *testing.T, cfg *Config, ctx context.Context, meanwhile func(*reporter)) (text, json string) {
	t.Helper()
	json = written(func(programs *lines.Writer) {
		text = written(func(people *lines.Writer) {
			cfg.Out, cfg.JSON, cfg.Log = people, programs, zap.NewNop()
			r := newReporter(cfg, &interception{}, proxy.NewClock())
			r.beginStates()
			if meanwhile != nil {
				go meanwhile(r)
			}
			reason := r.await(ctx, newControl(r))
			r.finish(reason, r.clock.Now(), false)
		})
	})
	return text, json
}

// before cuts off the summary.
func before(text, what string) string {
	text, _, _ = strings.Cut(text, what)
	return text
}

// TestStates holds that each change of a fault is told once, at its time.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everything(t)
		text, json := run(t, cfg, t.Context(), nil)
		var changes []string
		for _, line := range each(before(text, "\nfault ended")) {
			if strings.Contains(line, " (") {
				changes = append(changes, line)
			}
		}
		golden(t, "states.txt", strings.Join(changes, "\n")+"\n")
		var events strings.Builder
		for _, line := range each(json) {
			if strings.HasPrefix(line, `{"event":"fault"`) {
				events.WriteString(line + "\n")
			}
		}
		golden(t, "states.jsonl", events.String())
	})
}

// TestEndsWhileOn holds that a fault is off when the run was told to end.
func TestEndsWhileOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*second)
		defer cancel()
		cfg := everything(t)
		cfg.Duration = 0
		cfg.Faults = cfg.Faults[:1]
		text, _ := run(t, cfg, ctx, nil)
		const want = `2000-01-01T00:00:00.000Z latency on (start), 0 open; on to the end
2000-01-01T00:00:10.000Z 0 open, 0 ended, 0 passed, 0 errors; latency n=0
2000-01-01T00:00:12.000Z latency off (end), 0 open
`
		if got := before(text, "\nfault ended"); got != want {
			t.Errorf("it says\n%swant\n%s", got, want)
		}
		if !strings.Contains(text, "(signal), exit 0\n") {
			t.Errorf("it ends with\n%s", text)
		}
	})
}

// TestProgress holds when progress is told, and that later it is only if there
// was any.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everything(t)
		cfg.Faults, cfg.Duration = cfg.Faults[:1], 10*time.Minute
		text, json := run(t, cfg, t.Context(), func(r *reporter) {
			time.Sleep(150 * second)
			r.FlowOpened(slowed())
			time.Sleep(160 * second)
			r.Injected(&proxy.Flow{}, faults.ToClient, faults.Effect{Fault: 0, Delay: 312 * milli}, 400*time.Microsecond)
			f := slowed()
			f.Injected = f.Injected[:1]
			r.FlowEnded(f)
		})
		var got []string
		for _, line := range each(before(text, "\nfault ended")) {
			if strings.Contains(line, "ended") {
				got = append(got, line)
			}
		}
		want := []string{
			"2000-01-01T00:00:10.000Z 0 open, 0 ended, 0 passed, 0 errors; latency n=0",
			"2000-01-01T00:00:30.000Z 0 open, 0 ended, 0 passed, 0 errors; latency n=0",
			"2000-01-01T00:01:00.000Z 0 open, 0 ended, 0 passed, 0 errors; latency n=0",
			"2000-01-01T00:03:00.000Z 1 open, 0 ended, 0 passed, 0 errors; latency n=0",
			"2000-01-01T00:06:00.000Z 0 open, 1 ended, 0 passed, 0 errors; latency n=1 mean=312.4ms p99=312.6ms",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := strings.Count(json, `{"event":"progress"`); n != len(want) {
			t.Errorf("%d events, want %d", n, len(want))
		}
	})
}

// TestOpen holds that a flow is told once while it is open, five seconds after
// its beginning, and not if it has ended by then.
func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everything(t)
		cfg.Faults, cfg.Tail, cfg.Duration = []faults.Planned{{Fault: faults.Blackhole{On: toClient | toServer}}}, true, time.Minute
		client := netip.MustParseAddrPort("127.0.0.1:4000")
		text, json := run(t, cfg, t.Context(), func(r *reporter) {
			flow := func(id uint64) *proxy.Flow {
				return &proxy.Flow{ID: id, Entry: proxy.EntryHTTP, Client: client, Host: "example.com:80", Started: r.clock.Now()}
			}
			time.Sleep(7 * second)
			short, long := flow(1), flow(2)
			r.FlowOpened(short)
			r.FlowOpened(long)
			time.Sleep(1300 * milli)
			late := flow(3)
			r.FlowOpened(late)
			swallowed := faults.Effect{Delay: faults.Never, Bytes: 7}
			for _, f := range []*proxy.Flow{short, long, long, flow(99)} {
				r.Injected(f, faults.ToServer, swallowed, 0)
			}
			r.Injected(long, faults.ToClient, swallowed, 0)
			short.Matched = true // as the proxy may: it is not read before the end
			r.FlowEnded(short)
			time.Sleep(10 * second)
			r.young.mu.Lock()
			if n := len(r.young.of) + r.young.flows.Len(); n != 0 {
				t.Errorf("%d of the flows are still kept", n)
			}
			r.young.mu.Unlock()
			for _, f := range []*proxy.Flow{long, late} {
				f.Lasted = r.clock.Now() - f.Started
				r.FlowEnded(f)
			}
		})
		var got []string
		for _, line := range each(before(text, "\nfault ended")) {
			if strings.Contains(line, " -> ") {
				got = append(got, line)
			}
		}
		want := []string{
			"2000-01-01T00:00:08.300Z client[127.0.0.1:4000] -> example.com:80 matched to_client=0B to_server=0B lasted=0.000s",
			"2000-01-01T00:00:12.000Z client[127.0.0.1:4000] -> example.com:80 open verdict=matched held_by=blackhole lasted=5.000s",
			"2000-01-01T00:00:13.300Z client[127.0.0.1:4000] -> example.com:80 open verdict=matched lasted=5.000s",
			"2000-01-01T00:00:18.300Z client[127.0.0.1:4000] -> example.com:80 passed reason=upstream-not-matched to_client=0B to_server=0B lasted=11.300s",
			"2000-01-01T00:00:18.300Z client[127.0.0.1:4000] -> example.com:80 passed reason=upstream-not-matched to_client=0B to_server=0B lasted=10.000s",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := strings.Count(json, `"state":"open"`); n != 2 {
			t.Errorf("%d events of open flows, want 2", n)
		}
		if held := `"faults":[{"id":"blackhole","link":"to-server"},{"id":"blackhole","link":"to-client"}]`; strings.Count(json, held) != 1 {
			t.Errorf("no event says that %s:\n%s", held, json)
		}
	})
}

// TestOpenNamed holds what is told of open flows to an address of several names:
// nothing that is not decided.
func TestOpenNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everything(t)
		cfg.Faults, cfg.Duration = nil, time.Minute
		_, json := run(t, cfg, t.Context(), func(r *reporter) {
			flow := func(id uint64) *proxy.Flow {
				return &proxy.Flow{ID: id, Entry: proxy.EntryIntercepted, Host: "192.0.2.1:443", MatchedBy: proxy.ByAmbiguous, Started: r.clock.Now()}
			}
			silent, meant, other := flow(1), flow(2), flow(3)
			meant.Name, meant.MatchedBy, meant.Matched = "api.test", proxy.BySNI, true
			other.Name, other.MatchedBy = "www.test", proxy.ByHost
			for _, f := range []*proxy.Flow{silent, meant, other} {
				r.FlowOpened(flow(f.ID))
				if f.Name != "" {
					r.FlowNamed(f)
				}
			}
			r.FlowNamed(&proxy.Flow{ID: 99})
			time.Sleep(7 * second)
			for _, f := range []*proxy.Flow{silent, meant, other} {
				r.FlowEnded(f)
			}
		})
		var got []string
		for _, f := range decoded(t, json).flows {
			if f.State == "open" {
				got = append(got, fmt.Sprint(f.Flow, f.Upstream.Host, f.Verdict, f.Reason, f.Upstream.MatchedBy))
			}
		}
		want := []string{fmt.Sprint(1, "", "", "", ""), fmt.Sprint(2, "api.test", "matched", "", "sni"), fmt.Sprint(3, "www.test", "passed", "upstream-not-matched", "host")}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// TestVerdict holds what is said of a flow before the proxy has decided.
func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		upstreams []string
		to        *proxy.Target
		entry     proxy.Entry
		host      string
		want      string
	}{
		{nil, nil, proxy.EntryHTTP, "example.com:80", matchedWord},
		{[]string{"example.com"}, nil, proxy.EntryHTTP, "example.com:80", matchedWord},
		{[]string{"example.com:443"}, nil, proxy.EntryHTTP, "example.com:80", passedWord},
		{[]string{"10.0.0.0/8"}, nil, proxy.EntryHTTP, "10.1.2.3:80", matchedWord},
		{[]string{"10.0.0.0/8"}, nil, proxy.EntryHTTP, "example.com:80", ""}, // nobody has asked for its addresses
		{[]string{"*", "!example.com"}, nil, proxy.EntryConnect, "example.com:80", passedWord},
		{[]string{"svc"}, &proxy.Target{Host: "svc", Port: 80}, proxy.EntryHTTP, "example.com:80", matchedWord},
		{[]string{"svc"}, &proxy.Target{Host: "svc", Port: 80}, proxy.EntryMapping, "example.com:80", passedWord},
		{nil, nil, proxy.EntryIntercepted, "", ""},
	} {
		cfg := &Config{Upstreams: upstreamsOf(t, tc.upstreams...), HTTPUpstream: tc.to, Log: zap.NewNop()}
		r := newReporter(cfg, &interception{}, proxy.NewClock())
		if got := r.verdict(&proxy.Flow{Entry: tc.entry, Host: tc.host}); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}

// TestSums holds that the flows add up to the summary.
func TestSums(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everything(t)
		cfg.SummaryJSON = true
		cfg.Duration = 7 * second
		var told int
		text, json := run(t, cfg, t.Context(), func(r *reporter) {
			for i := range 50 {
				for _, f := range []*proxy.Flow{slowed(), passed(), refused(), cut()} {
					told++
					f.ID = uint64(told)
					f.Bytes[faults.ToClient] += int64(i)
					r.FlowOpened(f)
					r.FlowEnded(f)
				}
				time.Sleep(100 * milli)
			}
		})
		flows := decoded(t, json)
		sum := flows.summary
		var met, matched, errs, off uint64
		var bytes [2]uint64
		for _, f := range flows.flows {
			met++
			if f.Verdict == matchedWord {
				matched++
			}
			if f.Error != "" {
				errs++
			}
			if f.ClosedBy == "end" {
				off++
			}
			bytes[0] += uint64(*f.ToServerBytes)
			bytes[1] += uint64(*f.ToClientBytes)
		}
		if met != uint64(told) || met != sum.Flows.Met || matched != sum.Flows.Matched || errs != sum.Flows.Errors ||
			off != sum.Flows.CutOff || bytes[0] != sum.ToServerBytes || bytes[1] != sum.ToClientBytes {
			t.Errorf("of %d flows %d matched, %d failed, %d were cut off, with %v bytes; the summary has %+v", met, matched, errs, off, bytes, sum)
		}
		if sum.Flows.Met != sum.Flows.Matched+sum.Flows.Passed || sum.Flows.Passed != words.Total(sum.Reasons.Passed) ||
			sum.Flows.Errors != words.Total(sum.Reasons.Errors) || met == matched || errs == 0 || off == 0 {
			t.Errorf("the sums of the summary are not those of its parts: %+v", sum)
		}
		if all := each(text); all[len(all)-1] != each(json)[len(each(json))-1] {
			t.Errorf("the text ends with %s", all[len(all)-1])
		}
	})
}

// TestTailOnATerminal holds that of many flows a terminal is told how many
// there were, when the second is over and at the end.
func TestTailOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := everything(t)
		cfg.Tail, cfg.Duration, cfg.Faults, cfg.Style.Columns = true, 3500*milli, nil, 100
		text, json := run(t, cfg, t.Context(), func(r *reporter) {
			for i, n := range []int{300, 201} {
				time.Sleep(time.Duration(i) * 3200 * milli)
				for range n {
					r.FlowOpened(passed())
					r.FlowEnded(passed())
				}
			}
		})
		var got []string
		for _, line := range each(before(text, "\nfault ended")) {
			if !strings.Contains(line, "  passed: upstream not matched  ") {
				got = append(got, line)
			}
		}
		want := []string{"… 100 more flows in this second", "… 1 more flow in this second"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := strings.Count(text, "  passed: upstream"); n != 2*tailRate {
			t.Errorf("%d lines, want %d", n, 2*tailRate)
		}
		if n := strings.Count(json, `{"event":"flow"`); n != 501 {
			t.Errorf("%d events, want 501", n)
		}
	})
}
