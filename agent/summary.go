package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/faultproxy/fault/faults"
)

// summary says what happened.
func summary(cfg *Config, r *Report) string {
	var p page
	p.printf("\nfault ended after %s (%s), exit %d\n", clock(r.Lasted.Round(100*time.Millisecond)), r.Reason, r.exitCode())
	p.printf("\n")
	if len(r.Injected) > 0 {
		p.delayed(r)
		p.done(r)
		p.printf("\n")
	}
	p.total("flows", r.Flows, fmt.Sprintf("%s matched, %s passed through; %s cut off at the end",
		count(r.Matched), count(r.Flows-r.Matched), count(r.CutOff)))
	if len(r.Passed) > 0 {
		p.total("passed", total(r.Passed), parted(r.Passed))
	}
	if r.Intercepted {
		p.total("left alone", total(r.leftAlone()), parted(r.leftAlone()))
	}
	p.total("errors", total(r.Errors), parted(r.Errors))
	if r.Intercepted && r.Open != nil {
		p.total("untouched", uint64(*r.Open), "connections open before the start")
	}
	if r.Dropped > 0 {
		p.total("output", r.Dropped, "lines dropped: nobody read them in time")
	}
	if len(cfg.Replay) > 0 {
		p.printf("replay      fault %s\n", quoted(cfg.Replay))
	}
	switch {
	case r.Matched > 0:
	case len(cfg.Upstreams) > 0:
		p.printf("\nno flow matched --upstream; nothing was tested\n")
	default:
		p.printf("\nno flow came; nothing was tested\n")
	}
	return p.String()
}

// total is a count and what it is made of.
func (p *page) total(label string, n uint64, parts string) {
	p.printf("%s\n", strings.TrimRight(fmt.Sprintf("%-10s %6s   %s", label, count(n), parts), " "))
}

// delayed is a table of the faults that draw delays: what was asked for and
// what was done, in ms.
func (p *page) delayed(r *Report) {
	header := fmt.Sprintf("%26s %7s %7s %7s %7s %7s  ms\n", "n", "mean", "p50", "p95", "p99", "max")
	names := reportIDs(r)
	for i := range r.Injected {
		in := &r.Injected[i]
		d := delays(in.Fault)
		if d == nil {
			continue
		}
		p.WriteString(header)
		header = ""
		q := func(share float64) string { return tenths(faults.Quantile(d, share)) }
		mean, longest := "-", "-"
		if m, ok := faults.Expected(d); ok {
			mean = tenths(m)
		}
		if u, ok := d.(faults.Uniform); ok {
			longest = tenths(u.Max)
		}
		p.row(names[i], "asked", "-", [5]string{mean, q(.5), q(.95), q(.99), longest}, "")
		for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
			if in.Fault.Links().Has(link) {
				on := &in.PerLink[link]
				p.measured("injected", on.Delay, 1, strings.ReplaceAll(link.String(), "-", " "))
				p.measured("late", on.Late, 2, "")
			}
		}
	}
}

func (p *page) row(label, what, n string, values [5]string, link string) {
	text := fmt.Sprintf("%-10s %-8s %6s %7s %7s %7s %7s %7s  %s", label, what, n,
		values[0], values[1], values[2], values[3], values[4], link)
	p.printf("%s\n", strings.TrimRight(text, " "))
}

func (p *page) measured(what string, h *hdrhistogram.Histogram, digits int, link string) {
	n := h.TotalCount()
	value := func(us float64) string {
		if n == 0 {
			return "-"
		}
		return fmt.Sprintf("%.*f", digits, us/1000)
	}
	q := func(percent float64) string { return value(float64(h.ValueAtQuantile(percent))) }
	p.row("", what, count(n), [5]string{value(h.Mean()), q(50), q(95), q(99), value(float64(h.Max()))}, link)
}

// tenths is a duration in milliseconds, to a tenth.
func tenths(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// done is a table of the other faults.
func (p *page) done(r *Report) {
	header := fmt.Sprintf("%-20s%-23s%s\n", "", "asked", "injected")
	names := reportIDs(r)
	for i := range r.Injected {
		in := &r.Injected[i]
		if delays(in.Fault) != nil {
			continue
		}
		p.WriteString(header)
		header = ""
		sum := in.all()
		wanted, did := outcome(in, &sum)
		for j, text := range did {
			if j > 0 {
				names[i], wanted = "", ""
			}
			p.printf("%-20s%-23s%s\n", names[i], wanted, text)
		}
	}
}

// outcome is what a fault was asked for, and in lines what it did.
func outcome(in *Injected, sum *LinkInjected) (wanted string, did []string) {
	switch f := in.Fault.(type) {
	case faults.Bandwidth:
		rate, unit := scaled(f.Rate)
		busiest := "-"
		if sum.BusiestSecond > 0 {
			busiest = fmt.Sprintf("%.2f %s/s in the busiest second", float64(sum.BusiestSecond)*rate/f.Rate, unit)
		}
		return fmt.Sprintf("%.2f %s/s a flow", rate, unit), []string{busiest}
	case faults.PacketLoss:
		did = []string{hitOf(in, "packets")}
		if h := sum.Delay; h.TotalCount() > 0 {
			stall := func(us int64) string { return count((us + 500) / 1000) }
			did = append(did, fmt.Sprintf("stall p50 %s p99 %s max %s ms",
				stall(h.ValueAtQuantile(50)), stall(h.ValueAtQuantile(99)), stall(h.Max())))
		}
		return percent(f.Share()), did
	case faults.Blackhole:
		return "nothing arrives", []string{fmt.Sprintf("%s, %s swallowed", flows(in.Flows), size(sum.Swallowed))}
	case faults.HTTPResponse:
		return fmt.Sprintf("%d for %s", f.Status, percent(f.Probability)), []string{hitOf(in, "requests")}
	}
	return in.String(), []string{flows(in.Flows)}
}

func flows(n uint64) string { return counted(n, "flow") }

// hitOf is the share that was chosen of what was decided about.
func hitOf(in *Injected, what string) string {
	if in.Tried == 0 {
		return "-, 0 " + what
	}
	return fmt.Sprintf("%s, %s of %s %s", percent(float64(in.Hit)/float64(in.Tried)), count(in.Hit), count(in.Tried), what)
}
