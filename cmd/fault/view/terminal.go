package view

import (
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Usable says whether a view can be shown: both are terminals, which can draw
// (name is the value of TERM, if the system has that) and are ours to draw on.
func Usable(stdin, stdout *os.File, name string) bool {
	return draws(name) && term.IsTerminal(int(stdin.Fd())) && term.IsTerminal(int(stdout.Fd())) && inForeground(stdout)
}

// output writes to a terminal from a goroutine of its own, so that whoever
// writes can be freed from a terminal that nobody reads.
type output struct {
	file   *os.File
	writes chan write
	gone   chan struct{} // closed by abandon, after last was set
	last   string
	done   chan struct{} // closed after the last write
}

type write struct {
	p    []byte
	done chan error // with room for the result
}

func newOutput(file *os.File) *output {
	o := &output{file: file, writes: make(chan write), gone: make(chan struct{}), done: make(chan struct{})}
	go o.writeAll()
	return o
}

func (o *output) writeAll() {
	defer close(o.done)
	for {
		select {
		case <-o.gone:
			_, _ = o.file.WriteString(o.last)
			return
		case w := <-o.writes:
			_, err := o.file.Write(w.p)
			w.done <- err
		}
	}
}

// Write waits until the terminal has taken p, or is abandoned.
func (o *output) Write(p []byte) (int, error) {
	w := write{slices.Clone(p), make(chan error, 1)}
	select {
	case o.writes <- w:
	case <-o.gone:
		return 0, os.ErrClosed
	}
	select {
	case err := <-w.done:
		return len(p), err
	case <-o.gone:
		return 0, os.ErrClosed
	}
}

// abandon frees all writers. The last that is written, as soon as the terminal
// takes it, is given; that is waited for up to a limit.
func (o *output) abandon(last string, limit time.Duration) {
	o.last = last
	close(o.gone)
	select {
	case <-o.done:
	case <-time.After(limit):
	}
}

// Read is not for an output; a terminal of the library has it.
func (o *output) Read([]byte) (int, error) { return 0, io.EOF }

// Close leaves the terminal to its owner.
func (o *output) Close() error { return nil }

// Fd is what is asked for the size.
func (o *output) Fd() uintptr { return o.file.Fd() }

// input reads from a terminal.
type input struct{ *os.File }

// errGone is a terminal that is no more.
var errGone = errors.New("the terminal is gone")

// Read reads keys. While the terminal belongs to others there are none for us,
// and the kernel refuses to read; that passes. The end of the input is that of
// the terminal.
func (in input) Read(p []byte) (int, error) {
	n, err := in.File.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		return n, errGone
	case errors.Is(err, syscall.EIO) && inBackground(in.File):
		time.Sleep(tick)
		return 0, nil
	}
	return n, err
}
