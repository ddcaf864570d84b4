package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// events is what a run told programs.
type events struct {
	words    []string // of the events, in their order
	start    event.Start
	flows    []event.Flow
	changes  []event.Change
	warnings []event.Warning
	progress []event.Progress
	summary  event.Summary
}

// decoded reads events, and wants to know all that there is in them.
func decoded(t *testing.T, text string) events {
	t.Helper()
	var all events
	for _, line := range each(text) {
		var head event.Head
		if err := json.Unmarshal([]byte(line), &head); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if !strings.HasPrefix(line, fmt.Sprintf(`{"event":"%s","time":"`, head.Event)) {
			t.Errorf("an event begins with its word, not so: %s", line)
		}
		all.words = append(all.words, head.Event)
		switch head.Event {
		case event.OfStart:
			all.start = event.Start{}
			strict(t, line, &all.start)
		case event.OfFlow:
			var f event.Flow
			strict(t, line, &f)
			all.flows = append(all.flows, f)
		case event.OfFault:
			var c event.Change
			strict(t, line, &c)
			all.changes = append(all.changes, c)
		case event.OfWarning:
			var w event.Warning
			strict(t, line, &w)
			all.warnings = append(all.warnings, w)
		case event.OfProgress:
			var p event.Progress
			strict(t, line, &p)
			all.progress = append(all.progress, p)
		case event.OfSummary:
			all.summary = event.Summary{}
			strict(t, line, &all.summary)
		default:
			t.Errorf("nobody knows the event %s", line)
		}
	}
	return all
}

// strict decodes a line in which nothing is unknown, and encodes it again.
func strict(t *testing.T, line string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if again := event.Line(into); again != line+"\n" {
		t.Errorf("%s\nwas read as\n%s", line, again)
	}
}

// TestKeys holds the keys of all events: within a schema none may go.
func TestKeys(t *testing.T) {
	var all strings.Builder
	for _, tc := range scenes(t) {
		all.WriteString(event.Line(startEvent(event.NewHead(event.OfStart, when, 0), tc.cfg, &tc.scene)))
	}
	names := ids(everyFault())
	head := func(word string) event.Head { return event.NewHead(word, when, second) }
	all.WriteString(event.Line(flowEvent(head(event.OfFlow), slowed(), everyFault(), names)))
	all.WriteString(event.Line(flowEvent(head(event.OfFlow), shortened(), everyFault(), names)))
	all.WriteString(event.Line(flowEvent(head(event.OfFlow), passed(), everyFault(), names)))
	all.WriteString(event.Line(flowEvent(head(event.OfFlow), byName(), everyFault(), names)))
	all.WriteString(event.Line(flowEvent(head(event.OfFlow), refused(), everyFault(), names)))
	all.WriteString(event.Line(event.Change{Head: head(event.OfFault), NextChangeS: event.Some(1.)}))
	all.WriteString(event.Line(event.Warning{Head: head(event.OfWarning), Hint: "hint"}))
	r := aRun()
	all.WriteString(event.Line(event.Progress{Head: head(event.OfProgress), Flows: flowCounts(r), Reasons: reasons(r), Faults: injectedEvents(r)}))
	blocking := everything(t)
	blocking.BlockQUIC = true
	all.WriteString(event.Line(summaryEvent(head(event.OfSummary), blocking, r)))
	plan, failed, connects := unconnected()
	all.WriteString(event.Line(startEvent(head(event.OfStart), &Config{Faults: plan}, &scene{})))
	all.WriteString(event.Line(flowEvent(head(event.OfFlow), failed, plan, ids(plan))))
	all.WriteString(event.Line(summaryEvent(head(event.OfSummary), &Config{Faults: plan}, connects)))
	paths := make(map[string]bool)
	for _, line := range each(all.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		keys(paths, e["event"].(string), e)
	}
	golden(t, "keys.txt", strings.Join(slices.Sorted(maps.Keys(paths)), "\n")+"\n")
	decoded(t, all.String())
}

// keys collects the paths to the values of an event, with their types. What is
// counted by reason has reasons for keys.
func keys(paths map[string]bool, path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			if strings.HasSuffix(path, "_by_reason") {
				key = "*"
			}
			keys(paths, path+"."+key, v)
		}
	case []any:
		for _, v := range value {
			keys(paths, path+"[]", v)
		}
	default:
		paths[fmt.Sprintf("%s %T", path, value)] = true
	}
}

// TestNoNumberIsInvented holds that what cannot be told is absent.
func TestNoNumberIsInvented(t *testing.T) {
	r := newReport([]faults.Planned{
		{Fault: faults.Latency{Delay: faults.Pareto{Scale: milli, Shape: .5}, On: toClient}}, // has no mean
		{Fault: faults.PacketLoss{Rate: .1, On: toClient}},
		{Fault: faults.Bandwidth{Rate: 1, On: toClient}},
	})
	cfg := &Config{Seed: 1<<64 - 1}
	got := event.Line(summaryEvent(event.NewHead(event.OfSummary, when, 0), cfg, &r))
	for _, no := range []string{"mean_ms", "injected\":{\"n\":0,", "\"late\":", "stall", "left_alone", "open_connections", "replay", "busiest"} {
		if strings.Contains(got, no) {
			t.Errorf("%s in %s", no, got)
		}
	}
	if !strings.Contains(got, `"seed":"18446744073709551615"`) {
		t.Errorf("the seed is not in %s", got)
	}
}

// TestSameSeedSameText holds that draws are told to the microsecond, so that
// two runs with one seed can be compared as text.
func TestSameSeedSameText(t *testing.T) {
	a, b := slowed(), slowed()
	b.Injected[0].Drawn = nil
	for _, d := range a.Injected[0].Drawn {
		b.Injected[0].Drawn = append(b.Injected[0].Drawn, d.Round(1000))
	}
	names := ids(everyFault())
	head := event.NewHead(event.OfFlow, when, 0)
	one, other := event.Line(flowEvent(head, a, everyFault(), names)), event.Line(flowEvent(head, b, everyFault(), names))
	if one != other || !strings.Contains(one, `"drawn_ms":[312.339]`) {
		t.Errorf("%s\n%s", one, other)
	}
}

// TestJSONAlone holds that people's lines stay out of what programs read.
func TestJSONAlone(t *testing.T) {
	text := written(func(w *lines.Writer) {
		cfg := everything(t)
		cfg.Tail, cfg.SummaryJSON = true, true
		cfg.Out, cfg.JSON = w, w
		r := newReporter(cfg, &interception{explicit: "no reason", hint: "none"}, proxy.NewClock())
		told := make(chan string, 9)
		cfg.Warn = func(text, _ string) { told <- text }
		r.scene = newScene(r, &listeners{}, 0)
		r.started()
		r.FlowOpened(slowed())
		r.FlowEnded(slowed())
		r.finish(BySignal, second, false)
		if w := <-told; w != "nothing is intercepted: no reason" {
			t.Errorf("warned of %q", w)
		}
	})
	all := decoded(t, text)
	on := strings.Repeat("fault ", 7)
	if got := strings.Join(all.words, " "); got != "start warning "+on+"flow "+on+"summary" {
		t.Errorf("the events are %s", got)
	}
}

// TestOutputDropped holds that lines which nobody reads are counted, and that
// the summary is there all the same.
func TestOutputDropped(t *testing.T) {
	blocked, reached := make(chan struct{}), make(chan struct{})
	var out strings.Builder
	w := lines.NewWriter(writerFunc(func(p []byte) (int, error) {
		if out.Len() == 0 {
			close(reached)
			<-blocked
		}
		return out.Write(p)
	}))
	cfg := everything(t)
	cfg.JSON = w
	r := newReporter(cfg, &interception{}, proxy.NewClock())
	long := warning{code: "long", text: strings.Repeat("x", 64<<10)}
	r.warning(long)
	<-reached
	const more = 8<<20/(64<<10) + 50
	for range more {
		r.warning(long)
	}
	r.finish(BySignal, second, false)
	close(blocked)
	w.Close(time.Minute)
	came := each(out.String())
	sum, n := decoded(t, came[len(came)-1]).summary, len(came)-1
	if n < 100 || sum.OutputDropped != uint64(1+more-n) {
		t.Errorf("%d of %d events came, and %d were dropped", n, 1+more, sum.OutputDropped)
	}
}

// writerFunc is an io.Writer made of a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
