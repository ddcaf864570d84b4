package agent

import (
	"fmt"
	"strings"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// outcomeOf is what became of a flow that ended.
func outcomeOf(f *proxy.Flow, plan []faults.Planned) flowOutcome {
	did := did(f, plan)
	failure := proxy.Failure(f.Err)
	switch words := worded(failureWords, failure); {
	case cutOff(f):
		return flowOutcome{forms: append(with(words.long, did), words.long, words.short)}
	case failure == "injected" && len(did) > 0:
		var forms []string
		for _, text := range listed(did) { // which say who failed it
			forms = append(forms, "error: "+text)
		}
		return flowOutcome{forms: append(forms, words.short), role: style.Bad}
	case f.Err != nil:
		forms := append(with("error: "+words.long, did), "error: "+words.long, "error: "+words.short, words.short)
		return flowOutcome{forms: forms, role: style.Bad}
	case !f.Matched:
		words := worded(reasonWords, passedReason(f))
		return flowOutcome{forms: []string{"passed: " + words.long, "passed: " + words.short, passedWord}}
	case len(did) == 0:
		return flowOutcome{forms: []string{matchedWord}}
	}
	return flowOutcome{forms: listed(did), measured: true}
}

// openOutcome is what is known of a flow that has not ended, and of the faults
// that hold it.
func openOutcome(verdict string, holding []string) flowOutcome {
	if len(holding) == 0 && verdict == passedWord {
		holding = []string{passedWord}
	}
	var forms []string
	for n := len(holding); n > 0; n-- {
		forms = append(forms, enumerated(holding, n)+", open")
	}
	return flowOutcome{forms: append(forms, "open")}
}

// enumerated is the first n of some texts, with a sign if there are more.
func enumerated(texts []string, n int) string {
	text := strings.Join(texts[:n], ", ")
	if n < len(texts) {
		text += ", …"
	}
	return text
}

// doing is what a fault did to a flow, in three lengths.
type doing struct{ long, short, name string }

func did(f *proxy.Flow, plan []faults.Planned) []doing {
	var all []doing
	labels := Labels(plan)
	for _, in := range onBothLinks(f, plan) {
		fault := plan[in.Fault].Fault
		if injection(fault, &in, f) == "" {
			continue
		}
		ms := in.Sum.Seconds() * 1000
		name := labels[in.Fault]
		d := doing{name: name, long: fmt.Sprintf("%s %.1f ms", name, ms), short: fmt.Sprintf("%s %.0f", name, ms)}
		switch fault := fault.(type) {
		case faults.ConnectError:
			d.long, d.short = name+" "+strings.ReplaceAll(string(fault.Kind), "-", " "), name
		case faults.HTTPResponse: // its name has the status
			d.long, d.short = name, name
		case faults.Bandwidth:
			d.long, d.short = name+" "+faults.Rate(float64(in.BusiestSecond)), name
		case faults.PacketLoss:
			d.long, d.short = fmt.Sprintf("%s %d of %d", name, in.Hit, in.Tried), name
		case faults.Reset:
			d.long, d.short = name+" after "+strings.TrimSpace(lasting(f.Lasted)), name
		case faults.Truncate:
			d.long, d.short = name+" "+words.Size(uint64(in.Swallowed)), name
		case faults.Slice:
			d.long, d.short = name+" "+words.Counted(in.Hit, "piece"), name
		case faults.Blackhole:
			if in.Pieces == 0 || in.Swallowed > 0 {
				d.long, d.short = name+" "+words.Size(uint64(in.Swallowed)), name
			}
		}
		all = append(all, d)
	}
	return all
}

// listed is what faults did, in forms that say less and less.
func listed(all []doing) []string {
	texts := make([]string, len(all))
	for i, d := range all {
		texts[i] = d.long
	}
	var forms []string
	for n := len(all); n > 0; n-- {
		forms = append(forms, enumerated(texts, n))
	}
	if len(all) > 1 {
		forms = append(forms, all[0].short+", …")
	}
	return append(forms, all[0].short, all[0].name)
}

// with is a text and what faults did, if they did anything.
func with(text string, all []doing) []string {
	if len(all) == 0 {
		return nil
	}
	return []string{text + "; " + listed(all)[0]}
}
