package proxy

import (
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultproxy/fault/faults"
)

// lineCapacity is what a line may hold.
var lineCapacity = int(DefaultBuffers.Link)

func newStore() *store { return &store{Buffers: DefaultBuffers} }

func TestLineHoldsPiecesUntilTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(NewClock(), life{}, newStore())
		for i, leave := range []time.Duration{time.Second, time.Second, 3 * time.Second} {
			l.put(piece{data: []byte(strconv.Itoa(i)), leave: leave})
		}
		l.put(piece{data: []byte("3"), leave: 3 * time.Second, end: io.EOF})
		for i, want := range []time.Duration{time.Second, time.Second, 3 * time.Second, 3 * time.Second} {
			p, err := l.take()
			if err != nil || string(p.data) != strconv.Itoa(i) || l.clock.Now() != want {
				t.Errorf("take %d: %v, piece %q at %v, want %v", i, err, p.data, l.clock.Now(), want)
			}
		}
		if l.bytes != 0 {
			t.Errorf("an empty line holds %d bytes", l.bytes)
		}
	})
}

func TestLineWaitsForPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(NewClock(), life{}, newStore())
		go func() {
			time.Sleep(time.Minute)
			l.put(piece{leave: time.Second}) // which is past
		}()
		if _, err := l.take(); err != nil || l.clock.Now() != time.Minute {
			t.Errorf("%v at %v", err, l.clock.Now())
		}
	})
}

// fillUp puts pieces until one has to wait, and returns how many went in; the
// channel is closed when the last is in, too.
func fillUp(l *line, data []byte) (int, <-chan struct{}) {
	in := make(chan struct{}, 1<<20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1 << 20 {
			if !l.put(piece{data: data, leave: time.Hour}) {
				return
			}
			in <- struct{}{}
		}
	}()
	synctest.Wait()
	return len(in), done
}

func TestLineIsBounded(t *testing.T) {
	for _, size := range []int{0, 1, 1000, readSize} {
		synctest.Test(t, func(t *testing.T) {
			stop := make(chan struct{})
			l := newLine(NewClock(), life{stop: stop}, newStore())
			n, _ := fillUp(l, make([]byte, size))
			cost := size + pieceOverhead
			if want := lineCapacity / cost; n != want || l.bytes > lineCapacity {
				t.Errorf("%d pieces of %d bytes, at a cost of %d, want %d", n, size, l.bytes, want)
			}
			close(stop)
		})
	}
}

func TestLineGoesOnWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		l := newLine(NewClock(), life{stop: stop}, newStore())
		n, done := fillUp(l, make([]byte, readSize))
		for i := range 3 * n {
			if _, err := l.take(); err != nil {
				t.Fatalf("take %d: over", i)
			}
			synctest.Wait()
			if l.bytes > lineCapacity || l.bytes < lineCapacity-2*readSize {
				t.Fatalf("after take %d the line holds %d bytes", i, l.bytes)
			}
		}
		close(stop)
		<-done
	})
}

// A piece that alone exceeds the capacity must pass, or nothing ever would.
func TestLineTakesOneLargePiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(NewClock(), life{}, newStore())
		if !l.put(piece{data: make([]byte, lineCapacity+1)}) {
			t.Error("over")
		}
		if p, err := l.take(); err != nil || len(p.data) != lineCapacity+1 {
			t.Error("it did not come out")
		}
	})
}

func TestStopEndsWaiting(t *testing.T) {
	for name, leave := range map[string]time.Duration{"for its time": time.Hour, "for ever": faults.Never} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				l := newLine(NewClock(), life{stop: stop}, newStore())
				l.put(piece{leave: leave})
				time.AfterFunc(time.Minute, func() { close(stop) })
				if _, err := l.take(); err != errStopped || l.clock.Now() != time.Minute {
					t.Errorf("%v at %v", err, l.clock.Now())
				}
			})
		})
	}
	t.Run("for a piece", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stop := make(chan struct{})
			l := newLine(NewClock(), life{stop: stop}, newStore())
			time.AfterFunc(time.Minute, func() { close(stop) })
			if _, err := l.take(); err != errStopped || l.clock.Now() != time.Minute {
				t.Errorf("%v at %v", err, l.clock.Now())
			}
		})
	})
	t.Run("for room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stop := make(chan struct{})
			l := newLine(NewClock(), life{stop: stop}, newStore())
			_, done := fillUp(l, make([]byte, readSize))
			close(stop)
			<-done
		})
	})
}

// Lines together hold no more than they may, but each goes on.
func TestLinesAreBoundedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces = 10
		all := &store{Buffers: Buffers{Link: 1 << 20, Total: pieces * (readSize + pieceOverhead)}}
		stop := make(chan struct{})
		greedy, late := newLine(NewClock(), life{stop: stop}, all), newLine(NewClock(), life{stop: stop}, all)
		n, done := fillUp(greedy, make([]byte, readSize))
		if waiting := all.waiting.Load(); n != pieces || waiting > all.Total {
			t.Errorf("%d pieces and %d bytes are in, want %d pieces", n, waiting, pieces)
		}
		one, also := fillUp(late, make([]byte, readSize))
		if one != 1 {
			t.Errorf("the other line holds %d pieces, want one", one)
		}
		for range 2 * pieces {
			if _, err := late.take(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		close(stop)
		<-done
		<-also
	})
}
