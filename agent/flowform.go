package agent

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// flowForm is how a line about a flow is divided in a window. What a window has
// more than the least for its form goes to who talks to whom, and to what
// became of that, up to flowWidth.
type flowForm struct {
	look style.Style
	// who and what are columns.
	who, what int
	// pids says that there is room for them, bytes for what was carried.
	pids, bytes bool
}

// flowWidth is where a line about a flow is wide enough.
const flowWidth = 160

func newFlowForm(look style.Style) flowForm {
	f := flowForm{look: look}
	columns := min(max(look.Columns, leastWidth), flowWidth)
	switch {
	case columns >= 100:
		f.who, f.what, f.pids, f.bytes = 37, 38, true, true
		columns -= 100
	case columns >= pageWidth:
		f.who, f.what, f.pids = 33, 23, true
		columns -= pageWidth
	default:
		f.who, f.what = 20, 11
		columns -= leastWidth
	}
	f.who += columns / 2
	f.what += columns - columns/2
	return f
}

// flowOutcome is what became of a flow: the first of its forms is the one to take
// if there is room.
type flowOutcome struct {
	forms []string
	role  style.Role
	// measured says that the numbers were.
	measured bool
}

// line is all that is said of a flow. The bytes stand at the right of what
// became of it.
func (l flowForm) line(now time.Time, f *proxy.Flow, became flowOutcome, bytes string) string {
	room := l.what
	if !l.bytes {
		bytes = ""
	}
	if bytes != "" {
		room -= style.Width(bytes) + 2
	}
	text := fitted(room, became.forms...)
	what := l.look.As(became.role, text)
	if became.measured {
		what = figures(l.look, style.Accent, text)
	}
	what += strings.Repeat(" ", max(0, l.what-style.Width(text)-style.Width(bytes))) + figures(l.look, style.Accent, bytes)
	line := shortStamp(l.look, now) + style.Left(l.parties(f), l.who) + "  " + what
	if l.pids {
		took := lasting(f.Lasted)
		line += "  " + strings.Repeat(" ", max(0, 6-len(took))) + figures(l.look, 0, took)
	}
	return strings.TrimRight(line, " ") + "\n"
}

// shortStamp begins a line on a terminal: the time of day where there is room,
// and else the second.
func shortStamp(look style.Style, now time.Time) string {
	if isNarrow(look) {
		return look.As(style.Dim, now.Format("05.000")) + " "
	}
	return look.As(style.Dim, now.Format("15:04:05.000")) + "  "
}

// lineColumns is what shortStamp leaves of a line.
func lineColumns(look style.Style) int {
	columns := max(look.Columns, leastWidth)
	if isNarrow(look) {
		return columns - len("05.000 ")
	}
	return columns - len("15:04:05.000  ")
}

// parties is who talks to whom. The process gives way to the upstream, but for
// two fifths; pid and port are never cut.
func (l flowForm) parties(f *proxy.Flow) string {
	const arrow = " → "
	room := l.who - style.Width(arrow)
	name, pid := l.caller(f)
	host, port := l.upstream(f)
	left := min(style.Width(name+pid), max(room-style.Width(host+port), room*2/5))
	return cutBefore(name, pid, left) + arrow + cutBefore(host, port, room-left)
}

func (l flowForm) caller(f *proxy.Flow) (name, pid string) {
	switch {
	case f.Process.PID == 0 && !l.pids:
		return "client", ""
	case f.Process.PID == 0 && f.Client.Addr().IsLoopback():
		return "client", fmt.Sprintf("[:%d]", f.Client.Port())
	case f.Process.PID == 0:
		return "client[" + f.Client.Addr().String(), fmt.Sprintf(":%d]", f.Client.Port())
	}
	name = foreign(l.look, f.Process.Name, 15)
	if l.pids {
		pid = fmt.Sprintf("[%d]", f.Process.PID)
	}
	return name, pid
}

func (l flowForm) upstream(f *proxy.Flow) (host, port string) {
	host, number, ok := splitHost(namedHost(f))
	switch {
	case f.Host == "":
		return "-", ""
	case !ok:
		return foreign(l.look, f.Host, math.MaxInt), ""
	}
	if at, err := netip.ParseAddr(host); err == nil && at.Is6() {
		host = "[" + host + "]"
	}
	return foreign(l.look, host, math.MaxInt), fmt.Sprintf(":%d", number)
}

// cutBefore makes text fit into columns, with what is behind it and never cut.
func cutBefore(text, behind string, columns int) string {
	return style.CutEnd(text, columns-style.Width(behind)) + behind
}

// lasting is how long a flow was open, in at most six columns.
func lasting(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 9.995:
		return fmt.Sprintf("%.2f s", s)
	case s < 99.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 999.5:
		return fmt.Sprintf("%.0f s", s)
	case s < 99.5*60:
		return fmt.Sprintf("%.0f min", s/60)
	default:
		return fmt.Sprintf("%.0f h", s/3600)
	}
}

// carried is the bytes of a flow; empty if one that failed had none.
func carried(f *proxy.Flow) string {
	down, up := uint64(f.Bytes[faults.ToClient]), uint64(f.Bytes[faults.ToServer])
	switch {
	case f.Err != nil && down+up == 0:
		return ""
	case !f.Matched:
		return words.Size(down + up)
	}
	return words.Size(down) + " ↓  " + style.Right(words.Size(up)+" ↑", 8)
}
