package agent

import (
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// flowEvent is a flow that ended.
func flowEvent(head event.Head, f *proxy.Flow, plan []faults.Planned, ids []string) event.Flow {
	e := flowBegun(head, f)
	e.State, e.Verdict = "ended", matchedWord
	if !f.Matched {
		e.Verdict, e.Reason = passedWord, passedReason(f)
	}
	e.ClosedBy = string(f.EndedBy)
	if cutOff(f) {
		e.ClosedBy = string(proxy.EndRun) // who had been the first to end it did not
	} else {
		e.Error = proxy.Failure(f.Err)
	}
	e.ToClientBytes, e.ToServerBytes = &f.Bytes[faults.ToClient], &f.Bytes[faults.ToServer]
	for _, in := range f.Injected {
		e.Faults = append(e.Faults, injectionEvent(plan[in.Fault].Fault, ids[in.Fault], &in))
	}
	switch {
	case f.Answered != 0:
		e.HTTP = &event.HTTP{Status: f.Answered, Injected: true}
	case f.Status != 0:
		e.HTTP = &event.HTTP{Status: f.Status}
	}
	return e
}

// openEvent is a flow that has not ended for long.
func openEvent(head event.Head, f *proxy.Flow, verdict string, ids []string) event.Flow {
	e := flowBegun(head, f)
	e.State, e.Verdict = "open", verdict
	switch {
	case verdict == passedWord:
		e.Reason = passedReason(f)
	case verdict == "" && e.Upstream != nil:
		e.Upstream.MatchedBy = "" // which is not decided
	}
	for _, in := range f.Injected {
		e.Faults = append(e.Faults, event.Injection{ID: ids[in.Fault], Link: in.Link.String()})
	}
	return e
}

// flowBegun is what is known of a flow from its beginning.
func flowBegun(head event.Head, f *proxy.Flow) event.Flow {
	e := event.Flow{
		Head: head, Flow: f.ID, LastedMS: event.Milliseconds(f.Lasted),
		EnteredBy: string(f.Entry), Upstream: upstreamEvent(f),
	}
	if f.Client.IsValid() {
		e.Client = f.Client.String()
	}
	if p := f.Process; p.PID != 0 {
		e.Process = &event.Process{PID: p.PID, Name: lines.Shown(p.Name, 15), UID: p.UID, CgroupID: p.Cgroup, Netns: p.Netns}
	}
	return e
}

// longestHost bounds a name, which DNS does, too.
const longestHost = 255

// upstreamEvent is nil if nobody knows where a flow was going.
func upstreamEvent(f *proxy.Flow) *event.Upstream {
	var u event.Upstream
	host, port, ok := splitHost(f.Host)
	switch {
	case !ok:
	case isAddress(host):
		u.Host, u.IP, u.Port = f.Name, host, port
	default:
		u.Host, u.Port = lines.Shown(host, longestHost), port
	}
	if f.Upstream.IsValid() {
		u.IP, u.Port = f.Upstream.Addr().String(), f.Upstream.Port()
	}
	if u == (event.Upstream{}) {
		return nil
	}
	u.MatchedBy = string(f.MatchedBy)
	return &u
}

func injectionEvent(fault faults.Fault, id string, in *proxy.Injection) event.Injection {
	e := event.Injection{ID: id}
	if fault.Links() != 0 {
		e.Link = in.Link.String()
	}
	if in.Pieces > 0 {
		e.N, e.DelayMS, e.MaxMS = &in.Pieces, inMS(in.Sum), inMS(in.Max)
		e.LateUS = event.Some(in.Late.Microseconds())
		for _, d := range in.Drawn {
			e.DrawnMS = append(e.DrawnMS, event.Milliseconds(d))
		}
	}
	if in.Tried > 0 {
		e.Tried, e.Hit = &in.Tried, &in.Hit
	}
	switch fault.(type) {
	case faults.Bandwidth:
		e.BusiestSecondBytes = &in.BusiestSecond
	case faults.Blackhole, faults.Truncate:
		e.SwallowedBytes = &in.Swallowed
	default:
		if in.Swallowed > 0 {
			e.SwallowedBytes = &in.Swallowed
		}
	}
	return e
}
