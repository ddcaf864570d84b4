package agent

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// The verdicts.
const (
	matchedWord = "matched"
	passedWord  = "passed"
)

// shownHost bounds a name that people read.
const shownHost = 80

// flowLine is one flow that ended: in a form that fits into the window, or in
// the one for pipes, for people and grep alike.
func flowLine(look style.Style, now time.Time, f *proxy.Flow, plan []faults.Planned, ids []string) string {
	if look.Columns > 0 {
		return newFlowForm(look).line(now, f, outcomeOf(f, plan), carried(f))
	}
	b := flowHead(now, f)
	if f.Matched {
		b.WriteString(" " + matchedWord)
	} else {
		fmt.Fprintf(b, " %s reason=%s", passedWord, passedReason(f))
	}
	if f.MatchedBy != "" {
		fmt.Fprintf(b, " matched_by=%s", f.MatchedBy)
	}
	if text := injections(f, plan, ids); text != "" {
		b.WriteString(" " + text)
	}
	fmt.Fprintf(b, " to_client=%dB to_server=%dB lasted=%.3fs", f.Bytes[faults.ToClient], f.Bytes[faults.ToServer], f.Lasted.Seconds())
	if failure := proxy.Failure(f.Err); failure != "" {
		fmt.Fprintf(b, " error=%s", failure)
	}
	return b.String() + "\n"
}

// openLine is one flow that has not ended for long, and which faults hold it as
// far as that is known. Who counts the lines of verdicts does not count it:
// there will be another.
func openLine(look style.Style, now time.Time, f *proxy.Flow, verdict string, holding ...string) string {
	if look.Columns > 0 {
		return newFlowForm(look).line(now, f, openOutcome(verdict, holding), "")
	}
	b := flowHead(now, f)
	b.WriteString(" open")
	if verdict != "" {
		fmt.Fprintf(b, " verdict=%s", verdict)
	}
	for _, name := range holding {
		fmt.Fprintf(b, " held_by=%s", name)
	}
	fmt.Fprintf(b, " lasted=%.3fs\n", f.Lasted.Seconds())
	return b.String()
}

func flowHead(now time.Time, f *proxy.Flow) *strings.Builder {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s -> %s", stamp(now), caller(f), cmp.Or(lines.Shown(namedHost(f), shownHost), "-"))
	return &b
}

// namedHost is the host:port of a flow, with the name that the client gave it
// where that has decided.
func namedHost(f *proxy.Flow) string {
	if _, port, err := net.SplitHostPort(f.Host); err == nil && f.Name != "" {
		return net.JoinHostPort(f.Name, port)
	}
	return f.Host
}

// caller is who a flow belongs to.
func caller(f *proxy.Flow) string {
	if f.Process.PID == 0 {
		return fmt.Sprintf("client[%v]", f.Client)
	}
	return fmt.Sprintf("%s[%d]", lines.Shown(f.Process.Name, 15), f.Process.PID)
}

// injections names each fault that did something to a flow, and what:
// "latency=312.4ms packet-loss=3/41".
func injections(f *proxy.Flow, plan []faults.Planned, ids []string) string {
	var texts []string
	for _, in := range onBothLinks(f, plan) {
		if text := injection(plan[in.Fault].Fault, &in, f); text != "" {
			texts = append(texts, attribute(plan[in.Fault].Fault, ids[in.Fault])+"="+text)
		}
	}
	return strings.Join(texts, " ")
}

// onBothLinks is what each fault did to a flow, in the order of the plan.
func onBothLinks(f *proxy.Flow, plan []faults.Planned) []proxy.Injection {
	var sums []proxy.Injection
	for i := range plan {
		sum, did := proxy.Injection{Fault: i}, false
		for _, in := range f.Injected {
			if in.Fault == i {
				did = true
				sum.Pieces += in.Pieces
				sum.Sum += in.Sum
				sum.Tried += in.Tried
				sum.Hit += in.Hit
				sum.Swallowed += in.Swallowed
				sum.BusiestSecond = max(sum.BusiestSecond, in.BusiestSecond)
			}
		}
		if did {
			sums = append(sums, sum)
		}
	}
	return sums
}

// attribute is the word for a fault in the line of a flow.
func attribute(f faults.Fault, id string) string {
	if _, ok := f.(faults.HTTPResponse); ok {
		return strings.Replace(id, f.Name(), "http", 1)
	}
	return id
}

// injection is what a fault did to a flow, "" if nothing.
func injection(fault faults.Fault, sum *proxy.Injection, f *proxy.Flow) string {
	switch fault := fault.(type) {
	case faults.ConnectError:
		if sum.Hit > 0 {
			return string(fault.Kind)
		}
		return ""
	case faults.Bandwidth:
		if sum.BusiestSecond > 0 {
			return strings.ReplaceAll(faults.Rate(float64(sum.BusiestSecond)), " ", "")
		}
		return ""
	case faults.PacketLoss:
		if sum.Hit > 0 {
			return fmt.Sprintf("%d/%d", sum.Hit, sum.Tried)
		}
		return ""
	case faults.HTTPResponse:
		if sum.Hit > 0 {
			return strconv.Itoa(fault.Status)
		}
		return ""
	case faults.Reset:
		if sum.Hit > 0 {
			return inMilliseconds(f.Lasted)
		}
		return ""
	case faults.Truncate:
		if sum.Hit > 0 {
			return fmt.Sprintf("%dB", sum.Swallowed)
		}
		return ""
	case faults.Slice:
		if sum.Hit > 0 {
			return strconv.Itoa(sum.Hit)
		}
		return ""
	case faults.Blackhole:
		if sum.Pieces == 0 || sum.Swallowed > 0 {
			return fmt.Sprintf("%dB", sum.Swallowed)
		}
	}
	if sum.Pieces == 0 {
		return ""
	}
	return inMilliseconds(sum.Sum)
}

func inMilliseconds(d time.Duration) string { return fmt.Sprintf("%.1fms", d.Seconds()*1000) }

// splitHost is the parts of a flow's host:port.
func splitHost(hostPort string) (host string, port uint16, ok bool) {
	host, text, err := net.SplitHostPort(hostPort)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil
}

// isAddress says whether a host is not a name.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
