package proxy

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultproxy/fault/faults"
)

// flood is what has always more to say, until it has said all.
type flood struct{ left int }

func (f *flood) Read(b []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(len(b), f.left)
	f.left -= n
	return n, nil
}

// rateOf carries some bytes, and gives the rate from the first to the last.
func rateOf(t *testing.T, plan *faults.Plan, size int) float64 {
	t.Helper()
	var rate float64
	synctest.Test(t, func(t *testing.T) {
		b := newBench(plan)
		b.src = &flood{left: size}
		if err := b.link.run(); err != nil || b.bytes.Load() != int64(size) {
			t.Errorf("carried %d bytes, %v", b.bytes.Load(), err)
		}
		first, last := b.out.at[0], b.out.at[len(b.out.at)-1]
		rate = float64(size) / (last - first).Seconds()
		close(b.in.closed)
	})
	return rate
}

// Latency does not cost throughput: the pieces of a link travel side by side.
func TestLatencyFillsTheLine(t *testing.T) {
	const rate, size = 50e6, 256 << 20
	latency := faults.Latency{Delay: constant(300 * ms), On: bothLinks, PerReadWrite: true}
	bandwidth := faults.Bandwidth{Rate: rate, On: bothLinks}
	for name, plan := range map[string]*faults.Plan{
		"bandwidth": planOf(bandwidth), "latency and bandwidth": planOf(latency, bandwidth),
	} {
		if got := rateOf(t, plan, size); got < 0.99*rate || got > 1.01*rate {
			t.Errorf("%s: %s", name, faults.Rate(got))
		}
	}
}

// Whatever the rate, the link carries it.
func TestBandwidthIsTheRate(t *testing.T) {
	for _, rate := range []float64{10e3, 1e6, 100e6, 1e9} {
		bandwidth := planOf(faults.Bandwidth{Rate: rate, On: bothLinks})
		if got := rateOf(t, bandwidth, int(min(10*rate, 256<<20))); got < 0.99*rate || got > 1.01*rate {
			t.Errorf("%s: %s", faults.Rate(rate), faults.Rate(got))
		}
	}
}

// A slow line holds its sender back: what is under way is bounded by time, not
// by our memory.
func TestBandwidthHoldsTheSenderBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1e6
		b := newBench(planOf(faults.Bandwidth{Rate: rate, On: bothLinks}))
		src := &flood{left: 100 << 20}
		b.src = src
		ended := make(chan error)
		go func() { ended <- b.link.run() }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		taken, gone := 100<<20-src.left, int(b.out.data.Len())
		if waiting := taken - gone; waiting > rate/5+2*readSize {
			t.Errorf("%d bytes were taken, %d had left", taken, gone)
		}
		close(b.stop)
		<-ended
	})
}

// stacked is every fault that shapes a stream, with values that keep a test
// short and still shuffle everything.
func stacked(seed uint64) *faults.Plan {
	plan := planOf(
		faults.Latency{Delay: faults.Uniform{Max: 20 * ms}, On: bothLinks, PerReadWrite: true},
		faults.Jitter{Amplitude: 10 * ms, Frequency: 50, On: bothLinks},
		faults.PacketLoss{Rate: .01, On: bothLinks},
		faults.Bandwidth{Rate: 2e6, On: bothLinks},
	)
	plan.Seed = seed
	return plan
}

// TestEveryCombinationAltersNothing carries a stream, in pieces that come at
// random, through each set of faults, some of which come and go.
func TestEveryCombinationAltersNothing(t *testing.T) {
	second := faults.Schedule{{Start: 100 * ms, End: time.Second}, {Start: 2 * time.Second, End: faults.Never}}
	all := []faults.Planned{
		{Fault: faults.Latency{Delay: faults.Uniform{Max: 300 * ms}, On: bothLinks}},
		{Fault: faults.Latency{Delay: faults.Pareto{Scale: 10 * ms, Shape: 1.2}, On: bothLinks, PerReadWrite: true}, Schedule: second},
		{Fault: faults.Jitter{Amplitude: 50 * ms, Frequency: 20, On: bothLinks}},
		{Fault: faults.PacketLoss{On: bothLinks}},
		{Fault: faults.PacketLoss{Rate: .2, On: bothLinks}, Schedule: second},
		{Fault: faults.Blackhole{On: bothLinks}, Schedule: second[:1]},
		{Fault: faults.Bandwidth{Rate: 1e6, On: bothLinks}},
		{Fault: faults.Bandwidth{Rate: 20e3, On: bothLinks}, Schedule: second[:1]},
	}
	for set := range 1 << len(all) {
		plan := &faults.Plan{Seed: uint64(set)}
		for i, f := range all {
			if set&(1<<i) != 0 {
				plan.Faults = append(plan.Faults, f)
			}
		}
		synctest.Test(t, func(t *testing.T) {
			in, data := piecemeal(rand.New(rand.NewPCG(uint64(set), 0)))
			b := newBench(plan, in...)
			if err := b.link.run(); err != nil || b.out.data.String() != data {
				t.Errorf("%b: %d of %d bytes came, or others, %v", set, b.out.data.Len(), len(data), err)
			}
			close(b.in.closed)
		})
	}
}

// piecemeal is a stream in pieces of all sizes over some seconds.
func piecemeal(rng *rand.Rand) ([]arrival, string) {
	var in []arrival
	var data strings.Builder
	var at time.Duration
	for range 60 {
		at += time.Duration(rng.ExpFloat64() * float64(50*ms))
		piece := string(randomBytes(rng.Uint64(), int(rng.ExpFloat64()*2000)+1))
		data.WriteString(piece)
		in = append(in, arrival{at, piece, nil})
	}
	return append(in, arrival{at, "", io.EOF}), data.String()
}

// TestStackedFaultsAlterNothing sends random bytes both ways on many flows,
// whose ends close their halves in either order.
func TestStackedFaultsAlterNothing(t *testing.T) {
	for name, portable := range map[string]bool{"here": false, "in goroutines": true} {
		t.Run(name, func(t *testing.T) { testStackedFaults(t, &Server{Plan: stacked(1), portable: portable}) })
	}
}

func testStackedFaults(t *testing.T, s *Server) {
	const flows = 200
	noLeaks(t)
	ln := listen(t)
	s.Origin = divertedTo(ln)
	p := run(t, s)
	var work sync.WaitGroup
	for i := range flows {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			if err := exchangeRandom(p.addr, rng); err != nil {
				t.Errorf("flow %d: %v", i, err)
			}
		})
		work.Go(func() {
			c, err := ln.AcceptTCP()
			if err == nil {
				err = answerRandom(c)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for range flows {
		if f := next(t, p.ended); f.Err != nil {
			t.Errorf("%+v", f)
		}
	}
}

// exchangeRandom sends as many bytes as it asks for, and compares what comes
// back: both ends know what the other has to send.
func exchangeRandom(addr string, rng *rand.Rand) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(6 * patience))
	seed, size, endFirst := rng.Uint64(), rng.IntN(100<<10), rng.IntN(2) == 0
	if _, err := fmt.Fprintf(c, "%d %d\n", seed, size); err != nil {
		return err
	}
	done := make(chan error, 1)
	sent := randomBytes(seed, size)
	go func() {
		_, err := c.Write(sent)
		if err == nil && endFirst {
			err = c.(*net.TCPConn).CloseWrite()
		}
		done <- err
	}()
	back, err := io.ReadAll(io.LimitReader(c, int64(size)+sha256.Size))
	if err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	if !endFirst {
		_ = c.(*net.TCPConn).CloseWrite()
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		return fmt.Errorf("%d more bytes and %v", len(rest), err)
	}
	sum := sha256.Sum256(sent)
	if string(back) != string(randomBytes(seed+1, size))+string(sum[:]) {
		return fmt.Errorf("%d bytes came back wrong", len(back))
	}
	return nil
}

// answerRandom sends its own bytes at once, and the digest of what it got when
// it has all.
func answerRandom(c *net.TCPConn) error {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(6 * patience))
	var seed uint64
	var size int
	var line strings.Builder
	for !strings.HasSuffix(line.String(), "\n") {
		if _, err := io.CopyN(&line, c, 1); err != nil {
			return err
		}
	}
	if _, err := fmt.Sscan(line.String(), &seed, &size); err != nil {
		return err
	}
	got := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(c, int64(size)))
		got <- b
	}()
	if _, err := c.Write(randomBytes(seed+1, size)); err != nil {
		return err
	}
	sum := sha256.Sum256(<-got)
	if _, err := c.Write(sum[:]); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(c)
	if len(rest) > 0 {
		err = fmt.Errorf("%d bytes too many", len(rest))
	}
	return err
}

func randomBytes(seed uint64, size int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
