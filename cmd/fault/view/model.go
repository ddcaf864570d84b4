package view

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// run is what the view needs of an [agent.Control].
type run interface {
	Snapshot() agent.Snapshot
	Pause() bool
	Resume() bool
	End(agent.Reason)
}

// tick is how often the view looks at the run.
const tick = 250 * time.Millisecond

// pulled is the run at a moment, which is also the time of the clock. The next
// tick follows upon those that a tick pulled.
type pulled struct {
	snapshot agent.Snapshot
	at       time.Time
	ticked   bool
	shown    bool // whether the terminal is ours to draw on
}

// model is what is shown, and what keys do: bubbletea's.
type model struct {
	run     run
	style   style.Style
	notices *notices
	// foreground says whether the terminal is ours to draw on.
	foreground func() bool

	size   tea.WindowSizeMsg
	latest pulled
	chosen int // of the choices
	help   bool
	frame  string
}

func newModel(r run, st style.Style, n *notices, foreground func() bool) model {
	m := model{run: r, style: st, notices: n, foreground: foreground}
	m.latest = m.pull()
	m.chosen = firstChoice(&m.latest.snapshot)
	return m
}

// firstChoice is the first fault that draws delays, or the first one.
func firstChoice(s *agent.Snapshot) int {
	for i, c := range choices(s) {
		if drawsDelays(s.Report.Injected[c.fault].Fault) {
			return i
		}
	}
	return 0
}

// Init begins the ticks.
func (m model) Init() tea.Cmd { return m.nextTick() }

func (m model) nextTick() tea.Cmd {
	return tea.Tick(tick, func(time.Time) tea.Msg {
		p := m.pull()
		p.ticked = true
		return p
	})
}

func (m model) pull() pulled {
	return pulled{snapshot: m.run.Snapshot(), at: time.Now(), shown: m.foreground()}
}

// then does something to the run, and shows what became of it.
func (m model) then(do func()) tea.Cmd {
	return func() tea.Msg {
		do()
		return m.pull()
	}
}

// Update takes in what happened.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.size = msg
	case tea.KeyPressMsg:
		m, cmd = m.key(msg)
	case pulled:
		if msg.ticked {
			cmd = m.nextTick()
		}
		if msg.at.Before(m.latest.at) {
			return m, cmd
		}
		if msg.shown && !m.latest.shown {
			cmd = tea.Batch(cmd, tea.ClearScreen) // others drew meanwhile
		}
		m.noticeErrors(msg)
		m.latest = msg
	default:
		return m, nil
	}
	if m.latest.shown {
		m.frame = m.render()
	}
	return m, cmd
}

// noticeErrors tells of the first error of each kind.
func (m model) noticeErrors(now pulled) {
	before := m.latest.snapshot.Report.Errors
	for _, failure := range words.Largest(now.snapshot.Report.Errors) {
		if before[failure] == 0 {
			m.notices.add(Notice{At: now.at, Text: "flows fail: " + agent.FailureWords(failure)})
		}
	}
}

// key does what a key is for.
func (m model) key(msg tea.KeyPressMsg) (model, tea.Cmd) {
	name := msg.String()
	if m.help && name != "ctrl+c" {
		m.help = false
		return m, nil
	}
	switch name {
	case "q", "ctrl+c":
		return m, m.then(func() { m.run.End(agent.ByKey) })
	case "p":
		return m, m.then(func() {
			if !m.run.Pause() {
				m.run.Resume()
			}
		})
	case "tab":
		if n := len(choices(&m.latest.snapshot)); n > 0 {
			m.chosen = (m.chosen + 1) % n
		}
	case "?", "shift+?":
		m.help = true
	case "ctrl+l":
		return m, tea.ClearScreen
	case "ctrl+z":
		m.notices.add(Notice{At: time.Now(), Text: refusedStop})
	}
	return m, nil
}

const refusedStop = "stopping would freeze the connections that are open: Ctrl-Z does nothing here"

func (m model) render() string {
	f := Frame{Columns: m.size.Width, Rows: m.size.Height, Style: m.style, Help: m.help, Notices: m.notices.list()}
	f.Notice = current(f.Notices, time.Now())
	if all := choices(&m.latest.snapshot); len(all) > 0 {
		c := all[m.chosen%len(all)]
		f.Fault, f.Link = c.fault, c.link
	}
	return Render(&m.latest.snapshot, f)
}

// View is the frame, on the alternate screen and with nothing else of the
// terminal in use.
func (m model) View() tea.View {
	v := tea.NewView(m.frame)
	v.AltScreen = true
	v.DisableBracketedPasteMode = true
	return v
}
