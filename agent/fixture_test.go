package agent

import (
	"bytes"
	"embed"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
	"github.com/faultproxy/fault/proxy/upstream"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// goldens are the texts that golden compares with: in the binary, as that is
// all of it that old kernels get.
//
//go:embed testdata
var goldens embed.FS

// golden compares a text with the file that says what it should be.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(filepath.FromSlash(path), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := goldens.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\ngot\n%s", path, want, got)
	}
}

// when is a time for texts that have one.
var when = time.Date(2026, 11, 23, 11, 5, 0, 412310000, time.UTC)

const (
	toServer = 1 << faults.ToServer
	toClient = 1 << faults.ToClient
	second   = time.Second
	milli    = time.Millisecond
)

// everyFault is a plan with one fault of each kind, and some schedules.
func everyFault() []faults.Planned {
	return []faults.Planned{
		{Fault: faults.Latency{Delay: faults.Normal{Mean: 300 * milli, StdDev: 50 * milli}, On: toClient}},
		{Fault: faults.Jitter{Amplitude: 30 * milli, Frequency: 5, On: toServer | toClient}},
		{Fault: faults.Bandwidth{Rate: 1e6, On: toClient}, Schedule: faults.Schedule{{Start: 30 * second, End: 90 * second}}},
		{Fault: faults.PacketLoss{Rate: .03, On: toServer}},
		{Fault: faults.Blackhole{On: toClient}, Schedule: faults.Schedule{{Start: 240 * second, End: faults.Never}}},
		{Fault: faults.HTTPResponse{Status: 503, Probability: .1}, Schedule: faults.Schedule{{Start: 195 * second, End: 245 * second}}},
		{Fault: faults.Reset{AfterBytes: 4096, After: 90 * second, On: toClient}, Probability: event.Some(.25)},
		{Fault: faults.Truncate{AfterBytes: 100, On: toServer}, Probability: event.Some(0.)},
		{Fault: faults.Slice{Size: 100, Variation: 20, Delay: 2 * milli, On: toClient}},
		{Fault: faults.SlowClose{Delay: 500 * milli, On: toClient}},
	}
}

func upstreamsOf(t testing.TB, patterns ...string) upstream.Set {
	t.Helper()
	set, err := upstream.Parse(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mappingOf(t *testing.T, text string) mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// everything is the settings of a run that has all of them.
func everything(t testing.TB) *Config {
	return &Config{
		Version: "0.1.0", Upstreams: upstreamsOf(t, "*"), Faults: everyFault(), Seed: 8814402213, Duration: 5 * time.Minute,
		Replay: []string{"run", "--with-latency", "--latency-mean", "300", "--upstream", "*", "--http-response-body", "it's down", "--seed", "8814402213"},
		Log:    zap.NewNop(),
	}
}

// aRun is what happened in it.
func aRun() *Report {
	r := newReport(everyFault())
	r.PID, r.Reason, r.Lasted, r.Intercepted = 48121, ByDuration, 300*second+12*milli, true
	r.Flows, r.Matched, r.CutOff = 5344, 4982, 1
	r.Passed["upstream-not-matched"], r.Passed["excluded"] = 251, 111
	r.Errors["refused"], r.Errors["tls"] = 2, 1
	r.Connects = map[bpf.Verdict]uint64{
		bpf.Intercepted: 5344, bpf.Agent: 12, bpf.Loopback: 83, bpf.DNS: 37, bpf.UDP: 1400, bpf.QUIC: 21, bpf.QUICBlocked: 3, bpf.IPv6Only: 0,
	}
	r.Pauses, r.Paused = 2, 31*second
	open := 17
	r.Open, r.Reset = &open, event.Some(1015)
	r.Bytes = [2]uint64{faults.ToServer: 9120331, faults.ToClient: 171204112}
	for i := range 4982 { // from 250 to 350 ms, evenly
		r.injected(faults.ToClient, faults.Effect{Fault: 0, Delay: 250*milli + time.Duration(i)*20*time.Microsecond}, 41*time.Microsecond)
	}
	for i := range 300 {
		r.injected(faults.ToServer, faults.Effect{Fault: 1, Delay: time.Duration(i) * 100 * time.Microsecond}, 0)
		r.injected(faults.ToClient, faults.Effect{Fault: 1, Delay: 10 * milli}, 2*milli)
	}
	r.injected(faults.ToClient, faults.Effect{Fault: 2, Delay: 60211 * milli, Bytes: 1000}, 0)
	for range 1243 {
		r.injected(faults.ToServer, faults.Effect{Fault: 3, Tried: 33, Hit: 1, Delay: 200 * milli}, milli)
	}
	r.injected(faults.ToServer, faults.Effect{Fault: 3, Tried: 2, Hit: 3, Delay: 1400 * milli}, 0)
	r.injected(faults.ToClient, faults.Effect{Fault: 4, Delay: faults.Never, Bytes: 4100000}, 0)
	r.injected(faults.ToServer, faults.Effect{Fault: 5, Tried: 408, Hit: 40}, 0)
	r.injected(faults.ToClient, faults.Effect{Fault: 6, Tried: 1, Hit: 1, Bytes: 4096}, 0)
	r.injected(faults.ToServer, faults.Effect{Fault: 7, Tried: 1, Hit: 1, Bytes: 100}, 0)
	r.injected(faults.ToServer, faults.Effect{Fault: 7, Delay: faults.Never, Bytes: 900}, 0)
	for range 1200 {
		r.injected(faults.ToClient, faults.Effect{Fault: 8, Tried: 1, Hit: 1, Delay: 2 * milli, Bytes: 100}, 0)
	}
	r.injected(faults.ToClient, faults.Effect{Fault: 9, Delay: 500 * milli}, 40*time.Microsecond)
	r.Injected[2].PerLink[faults.ToClient].BusiestSecond = 981230
	for i, flows := range []uint64{4982, 500, 3000, 900, 12, 408, 1, 1, 40, 1} {
		r.Injected[i].Flows = flows
	}
	return &r
}

// slowed is a flow to which faults of everyFault did something.
func slowed() *proxy.Flow {
	return &proxy.Flow{
		ID: 7, Entry: proxy.EntryIntercepted, Client: netip.MustParseAddrPort("127.0.0.1:50122"),
		Process: proxy.Process{PID: 51702, UID: 1000, Name: "curl", Cgroup: 4711, Netns: 4026531840},
		Host:    "192.0.2.10:443", Upstream: netip.MustParseAddrPort("192.0.2.10:443"), Matched: true,
		Started: 12 * second, Lasted: 420300 * time.Microsecond, Bytes: [2]int64{faults.ToServer: 512, faults.ToClient: 4102},
		EndedBy: proxy.EndUpstream, Answered: 503, Status: 503,
		Injected: []proxy.Injection{
			{Fault: 0, Link: faults.ToClient, Pieces: 1, Sum: 312400 * time.Microsecond, Max: 312400 * time.Microsecond,
				Drawn: []time.Duration{312339123}, Late: 61 * time.Microsecond},
			{Fault: 1, Link: faults.ToServer, Pieces: 2, Sum: 20 * milli, Max: 11 * milli, Drawn: []time.Duration{9 * milli, 11 * milli}},
			{Fault: 1, Link: faults.ToClient, Pieces: 1, Sum: 5 * milli, Max: 5 * milli, Drawn: []time.Duration{5 * milli}},
			{Fault: 2, Link: faults.ToClient, Pieces: 3, Sum: 2031 * milli, Max: 900 * milli, Drawn: []time.Duration{900 * milli}, BusiestSecond: 4102},
			{Fault: 3, Link: faults.ToServer, Tried: 41, Hit: 3, Pieces: 3, Sum: 600 * milli, Max: 200 * milli, Drawn: []time.Duration{200 * milli}},
			{Fault: 4, Link: faults.ToClient, Swallowed: 4102},
			{Fault: 5, Link: faults.ToServer, Tried: 2, Hit: 1},
		},
	}
}

// byName is a flow whose client named its upstream, and nameless one of which
// it did not.
func byName() *proxy.Flow {
	f := slowed()
	f.ID, f.MatchedBy, f.Name, f.Injected, f.Answered, f.Status = 14, proxy.BySNI, "api.example.com", f.Injected[:1], 0, 0
	return f
}

func nameless() *proxy.Flow {
	f := slowed()
	f.ID, f.Matched, f.MatchedBy, f.Injected, f.Answered, f.Status = 15, false, proxy.ByAmbiguous, nil, 0, 0
	return f
}

// shortened is a flow that faults cut up and short.
func shortened() *proxy.Flow {
	f := slowed()
	f.ID, f.Answered, f.Status, f.EndedBy, f.Bytes = 13, 0, 0, proxy.EndFault, [2]int64{faults.ToServer: 100, faults.ToClient: 4096}
	f.Injected = []proxy.Injection{
		{Fault: 7, Link: faults.ToServer, Tried: 1, Hit: 1, Swallowed: 900},
		{Fault: 6, Link: faults.ToClient, Tried: 1, Hit: 1},
		{Fault: 8, Link: faults.ToClient, Tried: 41, Hit: 41, Pieces: 40, Sum: 80 * milli, Max: 2 * milli, Drawn: []time.Duration{2 * milli}},
		{Fault: 9, Link: faults.ToClient, Pieces: 1, Sum: 500 * milli, Max: 500 * milli, Drawn: []time.Duration{500 * milli}},
	}
	return f
}

// passed is a flow that was none of the faults' business.
func passed() *proxy.Flow {
	return &proxy.Flow{
		ID: 8, Entry: proxy.EntryHTTP, Client: netip.MustParseAddrPort("127.0.0.1:50123"), Host: "\u202emoc.elpmaxe:80",
		Upstream: netip.MustParseAddrPort("[2001:db8::1]:80"), Lasted: 1100 * milli, Bytes: [2]int64{0, 9000}, Status: 200, EndedBy: proxy.EndClient,
	}
}

// refused is a flow whose upstream did not want it.
func refused() *proxy.Flow {
	return &proxy.Flow{
		ID: 9, Entry: proxy.EntryMapping, Client: netip.MustParseAddrPort("127.0.0.1:50124"), Host: "db.internal:5432", Matched: true,
		Err: errors.Join(errors.New("dial"), syscall.ECONNREFUSED),
	}
}

// cut is a flow that the end of the run cut off.
func cut() *proxy.Flow {
	f := slowed()
	f.ID, f.Err, f.EndedBy, f.Injected, f.Answered, f.Status = 10, proxy.ErrEnded, proxy.EndClient, nil, 0, 0
	return f
}

// written is what is written to a writer until it is closed.
func written(write func(*lines.Writer)) string {
	var b bytes.Buffer
	w := lines.NewWriter(&b)
	write(w)
	w.Close(time.Hour)
	return b.String()
}

// each gives the lines of a text.
func each(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

// callersOf reads selectors, each with its kind.
func callersOf(t testing.TB, texts ...string) callers.Set {
	t.Helper()
	set, err := parseCallers(texts)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func parseCallers(texts []string) (callers.Set, error) {
	var set callers.Set
	for _, text := range texts {
		kind, value, _ := strings.Cut(text, " ")
		one, err := callers.Parse(callers.Kind(kind), value)
		if err != nil {
			return nil, err
		}
		set = append(set, one)
	}
	return set, nil
}
