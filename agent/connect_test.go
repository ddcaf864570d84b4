package agent

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// unconnected is a plan of faults at connect, a flow that the first of them
// has kept from connecting, and a report with it.
func unconnected() ([]faults.Planned, *proxy.Flow, *Report) {
	plan := []faults.Planned{
		{Fault: faults.ConnectError{Kind: faults.HostUnreachable, Probability: .25}},
		{Fault: faults.Latency{Delay: faults.Normal{Mean: 300 * milli}, On: toClient, Phase: faults.AtConnect}},
	}
	f := &proxy.Flow{
		ID: 3, Entry: proxy.EntryConnect, Client: netip.MustParseAddrPort("127.0.0.1:50122"), Host: "192.0.2.10:443", Matched: true,
		Lasted: 300 * milli, EndedBy: proxy.EndFault, Err: &proxy.FaultError{Fault: "connect-error", How: faults.HostUnreachable},
		Injected: []proxy.Injection{
			{Fault: 0, Link: faults.ToServer, Tried: 1, Hit: 1},
			{Fault: 1, Link: faults.ToClient, Pieces: 1, Sum: 300 * milli, Max: 300 * milli},
		},
	}
	r := newReport(plan)
	r.ended(f)
	r.injected(faults.ToServer, faults.Effect{Fault: 0, Tried: 1, Hit: 1}, 0)
	r.injected(faults.ToServer, faults.Effect{Fault: 0, Tried: 3}, 0)
	r.injected(faults.ToClient, faults.Effect{Fault: 1, Delay: 300 * milli}, milli)
	return plan, f, &r
}

// TestConnectErrorIsTold holds what each output says of connections that a
// fault has failed.
func TestConnectErrorIsTold(t *testing.T) {
	plan, f, r := unconnected()
	cfg := &Config{Faults: plan}
	head := event.NewHead(event.OfFlow, when, second)
	for name, tc := range map[string]struct{ got, want string }{
		"a pipe's line":   {flowLine(style.Style{}, when, f, plan, ids(plan)), " matched connect-error=host-unreachable latency=300.0ms to_client=0B to_server=0B lasted=0.300s error=injected\n"},
		"a window's line": {flowLine(style.Style{Columns: 160}, when, f, plan, ids(plan)), "error: connect-error host unreachable, latency 300.0 ms"},
		"a flow": {event.Line(flowEvent(head, f, plan, ids(plan))), `"error":"injected","lasted_ms":300,"entered_by":"connect","client":"127.0.0.1:50122",` +
			`"upstream":{"ip":"192.0.2.10","port":443},"to_client_bytes":0,"to_server_bytes":0,"closed_by":"fault","faults":[{"id":"connect-error","tried":1,"hit":1},`},
		"a start": {event.Line(startEvent(head, cfg, &scene{})), `"settings":{"kind":"host-unreachable","share":0.25}`},
		"its latency": {event.Line(startEvent(head, cfg, &scene{})),
			`"settings":{"distribution":"normal","mean_ms":300,"stddev_ms":0,"per":"flow","on":"connect"}`},
		"a summary":           {summary(cfg, r, style.Style{}), "connect-error       25.0 % host unreachable  25.0 %, 1 of 4 connections\n"},
		"its errors":          {summary(cfg, r, style.Style{}), "errors          1   1 failed by a fault\n"},
		"a program's summary": {event.Line(summaryEvent(head, cfg, r)), `"injected":{"connects":4,"failed":1,"share":0.25}`},
		"progress":            {progressText(r, 0), "1 errors; connect-error 1/4; latency n=1"},
		"progress in words":   {progressLine(style.Style{Columns: 100}, when, r, 0), "; connect-error 1 of 4; "},
		"a start page":        {startPage(cfg, &scene{}, style.Style{}), "connect-error  host unreachable, 25 % of connections\n"},
	} {
		if !strings.Contains(tc.got, tc.want) {
			t.Errorf("%s has no\n%s in\n%s", name, tc.want, tc.got)
		}
	}
}

// TestCostOfConnecting holds what the start page says of a latency that
// connecting meets.
func TestCostOfConnecting(t *testing.T) {
	normal := faults.Normal{Mean: 300 * milli}
	for _, tc := range []struct {
		latency faults.Latency
		want    string // empty is nothing
	}{
		{faults.Latency{Delay: normal, On: toClient}, ""},
		{faults.Latency{Delay: normal, On: toClient, Phase: faults.AtData}, ""},
		{faults.Latency{Delay: normal, On: toClient, Phase: faults.AtConnect}, "a connect takes 300 ms longer, the first byte of an answer 300 ms, on average"},
		{faults.Latency{Delay: normal, On: toClient, Phase: faults.AtBoth}, "a connect takes 300 ms longer, the first byte of an answer 600 ms, on average"},
		{faults.Latency{Delay: normal, On: toClient | toServer, Phase: faults.AtBoth}, "a connect takes 600 ms longer, the first byte of an answer 1200 ms, on average"},
		{faults.Latency{Delay: faults.Pareto{Scale: milli, Shape: .5}, On: toClient, Phase: faults.AtBoth}, "a connect takes 1 draw longer, the first byte of an answer 2 draws"},
	} {
		page := startPage(&Config{Faults: []faults.Planned{{Fault: tc.latency}}}, &scene{}, style.Style{})
		if says := strings.Contains(page, "a connect takes"); says != (tc.want != "") || !strings.Contains(page, tc.want+"\n") {
			t.Errorf("%v: no %q in\n%s", tc.latency, tc.want, page)
		}
	}
	narrow := startPage(&Config{Faults: []faults.Planned{
		{Fault: faults.Latency{Delay: normal, On: toClient, Phase: faults.AtBoth}},
	}}, &scene{}, style.Style{Columns: 40})
	if !strings.Contains(narrow, "connect +300 ms, first byte +600 ms") {
		t.Errorf("a narrow page has\n%s", narrow)
	}
}

// TestConnectFaultsOfDatagrams mean nothing.
func TestConnectFaultsOfDatagrams(t *testing.T) {
	plan, _, _ := unconnected()
	s := scene{mappings: []listening{{Mapping: mappingOf(t, "udp:5353=8.8.8.8:53")}}}
	got := strings.Join(s.idle(&Config{Faults: plan}), "\n")
	const want = "connect-error fails no datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53\n" +
		"latency at connect delays no datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
