package proxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultproxy/fault/faults"
)

const ms = time.Millisecond

// arrival is what a reader gives, not before a time of the run.
type arrival struct {
	at   time.Duration
	data string
	err  error
}

// arrivals is the far end of a link: what it sends and when, and then silence
// until it is closed.
type arrivals struct {
	clock  Clock
	rest   []arrival
	taken  atomic.Int64 // reads that were begun
	closed chan struct{}
}

func (a *arrivals) Read(b []byte) (int, error) {
	if len(a.rest) == 0 {
		<-a.closed
		return 0, io.ErrClosedPipe
	}
	a.taken.Add(1)
	next := a.rest[0]
	a.rest = a.rest[1:]
	time.Sleep(next.at - a.clock.Now())
	return copy(b, next.data), next.err
}

// departures is the near end: what came out and when.
type departures struct {
	clock Clock
	took  time.Duration // by each write
	at    []time.Duration
	data  strings.Builder
	err   error
}

func (d *departures) Write(b []byte) (int, error) {
	d.at = append(d.at, d.clock.Now())
	time.Sleep(d.took)
	if d.err != nil {
		return 0, d.err
	}
	return d.data.Write(b)
}

// bench is a link on a test's clock.
type bench struct {
	*link
	in    *arrivals
	out   *departures
	stop  chan struct{}
	lates []time.Duration
}

func newBench(plan *faults.Plan, in ...arrival) *bench {
	clock := NewClock()
	b := &bench{
		in:   &arrivals{clock: clock, rest: in, closed: make(chan struct{})},
		out:  &departures{clock: clock},
		stop: make(chan struct{}),
	}
	chain := &faults.Chain{}
	if plan != nil {
		chain = plan.Chain(1, faults.ToClient, faults.Stream)
	}
	b.link = &link{dst: b.out, shaping: shaping{
		src: b.in, chain: chain, clock: clock, life: life{stop: b.stop},
		tally: &tally{}, meter: &meter{all: new(atomic.Int64)}, store: newStore(),
		injected: func(_ faults.Effect, late time.Duration) { b.lates = append(b.lates, late) },
	}}
	return b
}

// run runs the link and checks when it ended, and how. Nothing of it may be
// left then but a read, which ends as the flow's connections are closed.
func (b *bench) run(t *testing.T, until time.Duration, want error) {
	t.Helper()
	err := b.link.run()
	if b.clock.Now() != until || !errors.Is(err, want) {
		t.Errorf("ended at %v with %v, want %v and %v", b.clock.Now(), err, until, want)
	}
	close(b.in.closed)
}

func (b *bench) left(t *testing.T, data string, at ...time.Duration) {
	t.Helper()
	if b.out.data.String() != data || !slices.Equal(b.out.at, at) {
		t.Errorf("%q left at %v, want %q at %v", &b.out.data, b.out.at, data, at)
	}
	if n := b.bytes.Load(); n != int64(len(data)) || b.all.Load() != n || b.store.waiting.Load() != 0 {
		t.Errorf("counted %d bytes of %d, for all %d; %d wait", n, len(data), b.all.Load(), b.store.waiting.Load())
	}
}

// held says whether one fault held so many pieces for so long.
func (b *bench) held(pieces int, sum, most time.Duration) bool {
	all := b.told(faults.ToClient)
	return len(all) == 1 && all[0].Pieces == pieces && all[0].Sum == sum && all[0].Max == most
}

func TestLinkDelaysPiecesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in []arrival
		var out []time.Duration
		for i := range 100 {
			in = append(in, arrival{at: time.Duration(i) * 10 * ms, data: "x"})
			out = append(out, time.Duration(i)*10*ms+300*ms)
		}
		in = append(in, arrival{at: 1234 * ms, err: io.EOF})
		b := newBench(delayed(constant(300*ms), true, 1), in...)
		b.run(t, 1534*ms, nil)
		b.left(t, strings.Repeat("x", 100), out...)
		if !b.held(101, 101*300*ms, 300*ms) {
			t.Errorf("injected %+v", b.told(faults.ToClient))
		}
	})
}

// A piece leaves when it was told to, or with the piece before it if that is
// later.
func TestLinkKeepsOrder(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			plan := delayed(faults.Uniform{Min: 0, Max: time.Second}, true, seed)
			chain, rng := plan.Chain(1, faults.ToClient, faults.Stream), rand.New(rand.NewPCG(seed, 0))
			var in []arrival
			var out []time.Duration
			var at, last time.Duration
			var data string
			for i := range 200 {
				at += time.Duration(rng.IntN(10)) * ms
				last = max(last, chain.Shape(at, 1).Leave)
				in = append(in, arrival{at: at, data: string(rune('a' + i%26))})
				out = append(out, last)
				data += in[i].data
			}
			leave := chain.Shape(at, 0).Leave
			in = append(in, arrival{at: at, err: io.EOF})
			b := newBench(plan, in...)
			b.run(t, max(last, leave), nil)
			b.left(t, data, out...)
			if slices.Max(b.lates) != 0 { // to wait one's turn is not to be late
				t.Errorf("late by %v", b.lates)
			}
		})
	}
}

// Once: the first piece waits, the next ones for no more than is left of its
// delay, and then the link has become a copy.
func TestLinkDelaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(delayed(constant(300*ms), false, 1),
			arrival{50 * ms, "a", nil}, arrival{100 * ms, "b", nil}, arrival{340 * ms, "c", nil},
			arrival{360 * ms, "d", nil}, arrival{900 * ms, "", io.EOF})
		b.run(t, 900*ms, nil)
		b.left(t, "abcd", 350*ms, 350*ms, 350*ms, 360*ms)
		if !b.held(1, 300*ms, 300*ms) || len(b.lates) != 1 {
			t.Errorf("injected %+v", b.told(faults.ToClient))
		}
	})
}

func TestLinkWithoutFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil, arrival{10 * ms, "a", nil}, arrival{20 * ms, "b", io.EOF})
		b.run(t, 20*ms, nil)
		b.left(t, "ab", 10*ms, 20*ms)
		if b.told(faults.ToClient) != nil {
			t.Errorf("injected %+v", b.told(faults.ToClient))
		}
	})
}

// How a stream ends is a piece, too, with data or alone.
func TestLinkDelaysTheEnd(t *testing.T) {
	for _, perReadWrite := range []bool{false, true} {
		for _, tc := range []struct{ end, want error }{{io.EOF, nil}, {syscall.ECONNRESET, syscall.ECONNRESET}} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(delayed(constant(300*ms), perReadWrite, 1), arrival{50 * ms, "", tc.end})
				b.run(t, 350*ms, tc.want)
				b.left(t, "")
			})
			synctest.Test(t, func(t *testing.T) {
				b := newBench(delayed(constant(300*ms), perReadWrite, 1), arrival{50 * ms, "last", tc.end})
				b.run(t, 350*ms, tc.want)
				b.left(t, "last", 350*ms)
			})
		}
	}
}

func TestLinkHoldsTheSenderBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := strings.Repeat("x", readSize)
		blocks := 2 * (lineCapacity / (readSize + pieceOverhead)) // two fillings
		in := slices.Repeat([]arrival{{0, block, nil}}, blocks)
		b := newBench(delayed(constant(time.Minute), true, 1), append(in, arrival{0, "", io.EOF})...)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.run(t, 2*time.Minute, nil)
		}()
		synctest.Wait()
		// The last one taken is in the hands of the reader.
		taken := int(b.in.taken.Load()) * readSize
		if taken > lineCapacity+readSize || taken < lineCapacity-readSize {
			t.Errorf("the link took %d bytes before any left", taken)
		}
		<-ended
		if b.bytes.Load() != int64(blocks*readSize) {
			t.Errorf("%d bytes came through", b.bytes.Load())
		}
	})
}

func TestLinkStops(t *testing.T) {
	for name, plan := range map[string]*faults.Plan{
		"waiting": delayed(constant(time.Hour), true, 1), "waiting once": delayed(constant(time.Hour), false, 1),
		"never": planOf(faults.Blackhole{On: bothLinks}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(plan, arrival{ms, "a", nil}, arrival{2 * ms, "b", nil})
				time.AfterFunc(time.Minute, func() { close(b.stop) })
				b.run(t, time.Minute, errStopped)
				b.left(t, "")
			})
		})
	}
}

// breaks is a fault that resets a flow with a piece.
type breaks struct {
	faults.Blackhole
	err error
}

func (b breaks) Links() faults.Links                                  { return bothLinks }
func (b breaks) Shaper(*rand.Rand, faults.Carrier) faults.Shaper      { return b }
func (b breaks) Shape(at time.Duration, _ int) (time.Duration, error) { return at, b.err }
func (b breaks) Spent() bool                                          { return false }

func TestLinkFaultEndsTheFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := delayed(constant(300*ms), true, 1)
		plan.Faults = append(plan.Faults, planOf(breaks{err: syscall.ECONNRESET}).Faults...)
		b := newBench(plan, arrival{50 * ms, "", io.EOF})
		b.run(t, 350*ms, syscall.ECONNRESET)
	})
}

func TestLinkCannotWrite(t *testing.T) {
	for name, plan := range map[string]*faults.Plan{"plain": nil, "shaped": delayed(constant(300*ms), true, 1)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(plan, arrival{0, "a", nil}, arrival{ms, "b", nil})
				b.out.err = syscall.EPIPE
				until := 300 * ms
				if plan == nil {
					until = 0
				}
				b.run(t, until, syscall.EPIPE)
				close(b.stop) // as the flow does then
			})
		})
	}
}

// What a slow receiver adds is told as lateness, not as the fault's doing.
func TestLinkTellsHowLateItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(delayed(constant(300*ms), true, 1),
			arrival{0, "a", nil}, arrival{0, "b", nil}, arrival{time.Second, "", io.EOF})
		b.out.took = 20 * ms
		b.run(t, 1300*ms, nil)
		b.left(t, "ab", 300*ms, 320*ms)
		if want := []time.Duration{20 * ms, 40 * ms, 0}; !slices.Equal(b.lates, want) {
			t.Errorf("late by %v, want %v", b.lates, want)
		}
		if !b.held(3, 320*ms+340*ms+300*ms, 340*ms) {
			t.Errorf("injected %+v", b.told(faults.ToClient))
		}
	})
}
