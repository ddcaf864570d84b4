package view

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
)

// watched is a model without a terminal.
type watched struct {
	t     *testing.T
	model tea.Model
	notes *notices
	mine  bool // whether the terminal is ours
}

func watch(t *testing.T, r run) *watched {
	w := &watched{t: t, notes: &notices{}, mine: true}
	w.model = newModel(r, style.Style{}, w.notes, func() bool { return w.mine })
	w.send(tea.WindowSizeMsg{Width: 100, Height: 30})
	return w
}

// send updates the model, and does what it asks for.
func (w *watched) send(msg tea.Msg) tea.Msg {
	model, cmd := w.model.Update(msg)
	w.model = model
	if cmd == nil {
		return nil
	}
	next := cmd()
	if p, ok := next.(pulled); ok && !p.ticked {
		w.model, _ = w.model.Update(p)
	}
	return next
}

func (w *watched) key(name string) tea.Msg {
	key := tea.KeyPressMsg{Code: rune(name[0]), Text: name}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		key = tea.KeyPressMsg{Code: rune(letter[0]), Mod: tea.ModCtrl}
	} else if name == "tab" {
		key = tea.KeyPressMsg{Code: tea.KeyTab}
	}
	return w.send(key)
}

func (w *watched) shows(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if frame := w.model.View().Content; !strings.Contains(frame, text) {
			w.t.Errorf("no %q in\n%s", text, frame)
		}
	}
}

func (w *watched) hides(text string) {
	w.t.Helper()
	if frame := w.model.View().Content; strings.Contains(frame, text) {
		w.t.Errorf("%q in\n%s", text, frame)
	}
}

func TestEndByKey(t *testing.T) {
	for _, key := range []string{"q", "ctrl+c"} {
		m := newMemory(aRun)
		w := watch(t, m)
		w.key(key)
		w.shows("ending: 42 flows drain, at most 5 s (q again ends them)")
		w.key(key)
		w.shows("ending: 42 flows drain")
		if want := []agent.Reason{"key", "key"}; !slices.Equal(m.reasons, want) {
			t.Errorf("%s twice ended by %v, want %v", key, m.reasons, want)
		}
	}
}

func TestPauseByKey(t *testing.T) {
	w := watch(t, newMemory(aRun))
	w.key("p")
	w.shows("paused 0:00", "p resume faults")
	w.key("p")
	w.shows("running", "p pause faults")
	w.key("q")
	w.key("p")
	w.shows("ending")
}

func TestChooseByKey(t *testing.T) {
	w := watch(t, newMemory(sixFaults))
	for _, want := range []string{
		" latency     asked", " to client   injected", " to server   injected", " bandwidth   asked",
		" packet-loss asked", " blackhole   asked", " http 503    asked", " latency     asked",
	} {
		w.shows(want)
		w.key("tab")
	}
	none := watch(t, newMemory(noFaultsRun))
	none.key("tab")
	none.shows("none: everything passes through")
}

func TestHelpByKey(t *testing.T) {
	m := newMemory(aRun)
	w := watch(t, m)
	w.notes.add(Notice{At: time.Now(), Text: "certificate is for db.example.com", Hint: "name it so"})
	for _, closing := range []string{"x", "q", "?", "tab"} {
		w.key("?")
		w.shows("pause or resume all faults", "ready after 84 ms", "certificate is for db.example.com  name it so")
		w.key(closing)
		w.hides("ready after 84 ms")
	}
	if len(m.reasons) > 0 {
		t.Error("closing the help ended the run")
	}
	w.key("?")
	w.key("ctrl+c")
	if len(m.reasons) != 1 {
		t.Errorf("Ctrl-C in the help ended the run %d times, want once", len(m.reasons))
	}
}

func TestOtherKeys(t *testing.T) {
	w := watch(t, newMemory(aRun))
	if got, want := w.key("ctrl+l"), tea.ClearScreen(); got != want {
		t.Errorf("Ctrl-L gives %T, want %T", got, want)
	}
	w.key("ctrl+z")
	w.shows(refusedStop)
	w.key("ctrl+z")
	if n := len(w.notes.list()); n != 1 {
		t.Errorf("%d notices of two Ctrl-Z, want 1", n)
	}
}

// TestFirstErrors holds that only the first error of a kind is told.
func TestFirstErrors(t *testing.T) {
	failures := map[string]uint64{}
	w := watch(t, newMemory(func() *agent.Snapshot {
		s := aRun()
		s.Report.Errors = maps.Clone(failures)
		return s
	}))
	for _, failure := range []string{"refused", "refused", "timeout"} {
		failures[failure]++
		w.send(w.model.(model).pull())
	}
	var told []string
	for _, n := range w.notes.list() {
		told = append(told, n.Text)
	}
	if want := []string{"flows fail: refused by upstream", "flows fail: timed out"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	w.shows("flows fail: timed out")
}

// TestLooks holds that the view looks at the run four times a second, that
// notices go after 10 s, and that the clock in it is that of the run.
func TestLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, newMemory(aRun))
		w.notes.add(Notice{At: time.Now(), Text: "something broke"})
		began := time.Now()
		next := w.model.Init()()
		for i := range 39 {
			if got, want := time.Since(began), time.Duration(i+1)*tick; got != want {
				t.Fatalf("tick %d after %v, want %v", i, got, want)
			}
			next = w.send(next)
			w.shows("something broke")
		}
		w.shows("running 1:21 of 5:00")
		w.send(next)
		w.hides("something broke")
		w.shows("running 1:22 of 5:00")
	})
}

// TestResize holds that a new size is drawn at once, without a tick.
func TestResize(t *testing.T) {
	w := watch(t, newMemory(aRun))
	for columns := 1; columns < 250; columns += 7 {
		w.send(tea.WindowSizeMsg{Width: columns, Height: 24})
		for _, line := range strings.Split(w.model.View().Content, "\n") {
			if style.Width(line) >= columns {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}

// TestBackground holds that nothing is drawn while the terminal is somebody
// else's, and everything once it is ours again.
func TestBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, newMemory(aRun))
		w.mine = false
		next := w.send(w.model.Init()())
		before := w.model.View().Content
		for range 8 {
			next = w.send(next)
		}
		if w.model.View().Content != before {
			t.Error("drawn in the background")
		}
		w.mine = true
		next = w.send(next)
		batch, ok := w.send(next).(tea.BatchMsg)
		if !ok || !slices.ContainsFunc(batch, func(cmd tea.Cmd) bool { return cmd() == tea.ClearScreen() }) {
			t.Errorf("%v instead of drawing all again", batch)
		}
		w.shows("running 1:14")
	})
}

// TestUses holds what of the terminal is in use.
func TestUses(t *testing.T) {
	v := watch(t, newMemory(aRun)).model.View()
	if !v.AltScreen || !v.DisableBracketedPasteMode || v.MouseMode != tea.MouseModeNone || v.WindowTitle != "" || v.ProgressBar != nil {
		t.Errorf("%+v", v)
	}
}
