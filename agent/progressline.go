package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// progressLine is in a form that fits into the window, or in the one for pipes.
// What does not fit is in the summary.
func progressLine(look style.Style, now time.Time, r *Report, open int64) string {
	if look.Columns == 0 {
		return stamp(now) + " " + progressText(r, open) + "\n"
	}
	room := lineColumns(look)
	did := soFarInWords(r)
	errors := words.Counted(words.Total(r.Errors), "error")
	heads := progressHeads(r, open, errors)
	head := fitted(room, heads...)
	for i := len(heads) - 1; i >= 0 && len(did) > 0; i-- { // rather the first fault than all counts
		if style.Width(heads[i]+"; "+did[0].name+" "+did[0].short) <= room {
			head = heads[i]
		}
	}
	room -= style.Width(head)
	text := strings.TrimSuffix(head, errors)
	if text != head {
		text += look.As(badIf(words.Total(r.Errors)), errors)
	}
	for _, d := range did {
		form := d.long
		begin := "; " + d.name + " "
		if style.Width(begin+form) > room {
			form = d.short
		}
		if style.Width(begin+form) > room {
			if room >= len("; .") {
				text += "; …"
			}
			break
		}
		room -= style.Width(begin + form)
		text += begin + figures(look, style.Accent, form)
	}
	return shortStamp(look, now) + text + "\n"
}

// progressHeads is the counts so far, in forms that say less and less.
func progressHeads(r *Report, open int64, errors string) []string {
	now := words.Count(open) + " open, "
	ended := words.Count(r.Flows) + " ended, "
	rest := words.Count(r.Flows-r.Matched) + " passed, "
	if r.Intercepted {
		rest += words.Count(words.Total(r.LeftAlone())) + " left alone, "
	}
	return []string{now + ended + rest + errors, now + ended + errors, now + errors}
}

// soFarInWords is what the faults have done, without their names.
func soFarInWords(r *Report) []doing {
	names := reportLabels(r)
	all := make([]doing, len(names))
	for i := range r.Injected {
		in := &r.Injected[i]
		sum := in.all()
		var long string
		switch in.Fault.(type) {
		case faults.Bandwidth:
			long = unknown
			if sum.BusiestSecond > 0 {
				long = "busiest second " + words.Size(uint64(sum.BusiestSecond))
			}
		case faults.ConnectError, faults.PacketLoss, faults.HTTPResponse:
			long = words.Count(in.Hit) + " of " + words.Count(in.Tried)
		case faults.Reset:
			long = words.Counted(in.Flows, "flow")
		case faults.Slice:
			long = words.Counted(in.Tried, "piece")
		case faults.Blackhole, faults.Truncate:
			long = words.Counted(in.Flows, "flow") + ", " + words.Size(sum.Swallowed)
		default:
			long = "n " + words.Count(sum.Delay.TotalCount())
			if h := sum.Delay; h.TotalCount() > 0 {
				short := fmt.Sprintf("mean %.1f p99 %.1f ms", h.Mean()/1000, float64(h.ValueAtQuantile(99))/1000)
				all[i] = doing{name: names[i], long: long + " " + short, short: short}
				continue
			}
		}
		all[i] = doing{name: names[i], long: long, short: long}
	}
	return all
}
