// Package lines writes lines for people and programs without ever making the
// work that they are about wait for whoever reads them.
package lines

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// queueLimit bounds in bytes what waits for a slow reader.
const queueLimit = 8 << 20

// Writer writes lines to an io.Writer in the order of Print, from a goroutine
// of its own: a terminal that nobody reads costs lines, never time. What does
// not fit is dropped and counted.
type Writer struct {
	out  io.Writer
	wake chan struct{} // one token: there is something to do
	done chan struct{} // closed after the last write

	mu      sync.Mutex
	pending []byte
	dropped int    // since the last write
	lost    uint64 // since the start
	records bool
	flushed []chan struct{} // each closed when all before it is written
	closed  bool
}

// NewWriter starts a writer to out, which must be closed.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.writeAll()
	return w
}

// ForPrograms keeps out what only people can read: what does not fit is counted
// and no more.
func (w *Writer) ForPrograms() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = true
}

// Print queues whole lines. It never waits; after Close it does nothing.
func (w *Writer) Print(lines string) { w.print(lines, queueLimit) }

// PrintLast queues lines even if there is no room: those that must not be
// missing at the end.
func (w *Writer) PrintLast(lines string) { w.print(lines, math.MaxInt) }

// Dropped is how many times there was no room.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

func (w *Writer) print(lines string, limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if len(w.pending)+len(lines) > limit {
		w.dropped++
		w.lost++
		return
	}
	w.pending = append(w.pending, lines...)
	w.awake()
}

func (w *Writer) awake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Flush lets what is queued be written, for as long as limit.
func (w *Writer) Flush(limit time.Duration) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return
	}
	written := make(chan struct{})
	w.flushed = append(w.flushed, written)
	w.awake()
	w.mu.Unlock()
	select {
	case <-written:
	case <-time.After(limit):
	}
}

// Close lets what is queued be written for as long as limit, then leaves a
// blocked reader to itself. It may be called again.
func (w *Writer) Close(limit time.Duration) {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(limit):
	}
}

// writeAll writes until Close, or until out fails: a reader that went away
// does not come back.
func (w *Writer) writeAll() {
	defer close(w.done)
	out := w.out
	flush := func() {
		batch, flushed := w.take()
		if len(batch) > 0 { // what woke it may be written already
			if _, err := out.Write(batch); err != nil {
				out = io.Discard
			}
		}
		for _, written := range flushed {
			close(written)
		}
	}
	for range w.wake {
		flush()
	}
	flush()
}

// take empties the queue, and ends it with the count of what did not fit. Who
// waits for that to be written is to be told.
func (w *Writer) take() (batch []byte, flushed []chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch, flushed = w.pending, w.flushed
	if w.dropped > 0 && !w.records {
		batch = fmt.Appendf(batch, "and %d more lines\n", w.dropped)
	}
	w.pending, w.flushed, w.dropped = nil, nil, 0
	return batch, flushed
}

// Shown makes text from outside safe to show: whatever could steer a terminal
// (controls, escapes, bidi marks, broken UTF-8) becomes `?`, and text of more
// than limit characters is cut in the middle.
func Shown(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	safe := []rune(text)
	head := limit / 2
	tail := limit - head - 1
	return string(safe[:head]) + "…" + string(safe[len(safe)-tail:])
}
