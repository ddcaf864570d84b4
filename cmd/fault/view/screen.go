package view

import (
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
)

// Options are what a screen needs.
type Options struct {
	// Input and Output are the terminal, for which [Usable] holds. They are
	// the caller's to close.
	Input, Output *os.File
	Style         style.Style
}

// Screen shows a run on a terminal: an [agent.Screen]. A terminal that goes
// away ends what is shown, and nothing else.
type Screen struct {
	options Options
	notices notices

	mu      sync.Mutex
	program *tea.Program // nil if nothing is shown
	out     *output
	done    chan struct{} // closed when program has ended
	before  []savedState
}

// savedState is how a terminal was before the view.
type savedState struct {
	fd    int
	state *term.State
}

var _ agent.Screen = (*Screen)(nil)

// New is a screen that shows nothing yet.
func New(o Options) *Screen { return &Screen{options: o} }

// Notice shows something that the user must know, for 10 s, and keeps it. It
// may be called from any goroutine, and does not wait.
func (s *Screen) Notice(text, hint string) {
	s.notices.add(Notice{At: time.Now(), Text: text, Hint: hint})
}

// Notices is all that were to be shown, the oldest first; one that came twice
// is there once.
func (s *Screen) Notices() []Notice { return s.notices.list() }

// Show begins to show a run. It does not wait for the terminal.
func (s *Screen) Show(c *agent.Control) { s.show(c) }

func (s *Screen) show(r run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.program != nil {
		return
	}
	// These make the library write files, which are root's here.
	os.Unsetenv("TEA_TRACE")
	os.Unsetenv("TEA_DEBUG")
	s.before = nil
	for _, f := range []*os.File{s.options.Input, s.options.Output} {
		if state, err := term.GetState(int(f.Fd())); err == nil {
			s.before = append(s.before, savedState{int(f.Fd()), state})
		}
	}
	foreground := func() bool { return inForeground(s.options.Output) }
	profile := colorprofile.ASCII
	if s.options.Style.Palette == style.Colour {
		profile = colorprofile.ANSI
	}
	s.out = newOutput(s.options.Output)
	s.program = tea.NewProgram(newModel(r, s.options.Style, &s.notices, foreground),
		tea.WithInput(input{s.options.Input}), tea.WithOutput(s.out),
		tea.WithoutSignalHandler(), tea.WithColorProfile(profile), tea.WithFPS(10))
	s.done = make(chan struct{})
	go func(program *tea.Program, done chan struct{}) {
		defer close(done)
		// Whatever ends the view does not concern the run.
		_, _ = program.Run()
	}(s.program, s.done)
}

// How long the library may take to leave the terminal, and then we ourselves.
const (
	farewell  = 250 * time.Millisecond
	lastWrite = 50 * time.Millisecond
)

// leave undoes what the library asked of the terminal: keyboard modes, frames
// that are shown at once, the alternate screen, the hidden cursor.
var leave = ansi.ResetModifyOtherKeys + ansi.PopKittyKeyboard(1) + ansi.ResetModeSynchronizedOutput +
	ansi.ResetModeUnicodeCore + ansi.ResetStyle + ansi.ResetModeAltScreenSaveCursor + ansi.SetModeTextCursorEnable

// Hide stops showing the run, and leaves the terminal as it was. One that
// nobody reads is left after 300 ms, whatever it shows.
func (s *Screen) Hide() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.program == nil {
		return
	}
	go s.program.Quit() // which waits for a program that waits for the terminal
	last := ""
	select {
	case <-s.done:
	case <-time.After(farewell):
		last = leave
	}
	s.out.abandon(last, lastWrite)
	for _, b := range s.before {
		_ = term.Restore(b.fd, b.state)
	}
	discardInput(s.options.Input)
	s.program = nil
}
