package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultproxy/fault/faults"
)

// upstreamFunc is the far end of a forwarded request.
type upstreamFunc func(*http.Request) (*http.Response, error)

func (f upstreamFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// exchange sends a request through the faults of a plan.
func exchange(ctx context.Context, plan *faults.Plan, clock Clock, in io.Reader, far upstreamFunc) (*forwarded, *http.Response, error) {
	s := &Server{Plan: plan, Observer: newRecorder(), Clock: clock}
	f := &Flow{ID: 1, Matched: true, did: &tallies{}}
	fw := &forwarded{ctx: ctx, flow: f, upstreams: far}
	fw.up.shaping, fw.down.shaping = s.shapes(f)
	fw.up.stop, fw.down.stop = ctx.Done(), ctx.Done()
	r, err := http.NewRequestWithContext(context.WithValue(ctx, forwardedKey{}, fw), http.MethodPost, "http://upstream/", in)
	if err != nil {
		return nil, nil, err
	}
	resp, err := shapedTransport{}.RoundTrip(r)
	return fw, resp, err
}

// answers gives a response that sends what an arrivals does.
func answers(b *arrivals) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(b)}
}

func TestForwardedPiecesWait(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		plan                 *faults.Plan
		asked                time.Duration   // when the request gets to the upstream
		up                   []time.Duration // when the pieces of its body do
		answered             time.Duration   // when the response gets to the client
		down                 []time.Duration
		upPieces, downPieces int
	}{
		{"null", nil, 0, []time.Duration{0, 20 * ms}, 30 * ms, []time.Duration{30 * ms, 60 * ms}, 0, 0},
		// Once: the heads wait, and what is behind them for no longer.
		{"once", delayed(constant(300*ms), false, 1), 300 * ms, []time.Duration{300 * ms, 300 * ms}, 600 * ms,
			[]time.Duration{600 * ms, 600 * ms}, 1, 1},
		// Every piece: the request's body is asked for when its head has gone,
		// for a client may wait for that. Then two pieces and the end, which
		// the response has in one with the last. What is behind the response's
		// head is on its way with it.
		{"per piece", delayed(constant(300*ms), true, 1), 300 * ms, []time.Duration{600 * ms, 600 * ms}, 900 * ms,
			[]time.Duration{900 * ms, 900 * ms}, 4, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := NewClock()
				in := &arrivals{clock: clock, rest: []arrival{{0, "he", nil}, {20 * ms, "llo", nil}, {30 * ms, "", io.EOF}}}
				asked, out := time.Duration(0), &departures{clock: clock}
				far := func(r *http.Request) (*http.Response, error) {
					asked = clock.Now()
					if _, err := io.Copy(out, r.Body); err != nil {
						return nil, err
					}
					now := clock.Now()
					return answers(&arrivals{clock: clock, rest: []arrival{{now, "wo", nil}, {60 * ms, "rld", io.EOF}}}), nil
				}
				plan := tc.plan
				if plan == nil {
					plan = &faults.Plan{}
				}
				fw, resp, err := exchange(t.Context(), plan, clock, in, far)
				if err != nil {
					t.Fatal(err)
				}
				if asked != tc.asked || clock.Now() != tc.answered {
					t.Errorf("asked at %v, answered at %v, want %v and %v", asked, clock.Now(), tc.asked, tc.answered)
				}
				back := &departures{clock: clock}
				if _, err := io.Copy(back, resp.Body); err != nil {
					t.Fatal(err)
				}
				if out.data.String() != "hello" || !slices.Equal(out.at, tc.up) {
					t.Errorf("the upstream got %q at %v, want %v", &out.data, out.at, tc.up)
				}
				if back.data.String() != "world" || !slices.Equal(back.at, tc.down) {
					t.Errorf("the client got %q at %v, want %v", &back.data, back.at, tc.down)
				}
				f := Flow{Injected: append(fw.up.told(faults.ToServer), fw.down.told(faults.ToClient)...)}
				if fw.up.bytes.Load() != 5 || fw.down.bytes.Load() != 5 ||
					injectedInto(t, f, faults.ToServer).Pieces != tc.upPieces || injectedInto(t, f, faults.ToClient).Pieces != tc.downPieces {
					t.Errorf("told %d and %d bytes, %+v", fw.up.bytes.Load(), fw.down.bytes.Load(), f.Injected)
				}
				if !fw.up.over.Load() || !fw.down.over.Load() {
					t.Error("an end was not noticed")
				}
			})
		})
	}
}

// Pieces of a response under way wait side by side, also with its head.
func TestForwardedPiecesWaitSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		var sent []arrival
		var want []time.Duration
		for i := range 50 {
			at := 300*ms + time.Duration(i)*10*ms
			sent, want = append(sent, arrival{at, "x", nil}), append(want, at+300*ms)
		}
		sent = append(sent, arrival{time.Second, "", io.EOF})
		far := func(*http.Request) (*http.Response, error) { return answers(&arrivals{clock: clock, rest: sent}), nil }
		_, resp, err := exchange(t.Context(), delayed(constant(300*ms), true, 1), clock, nil, far)
		if err != nil {
			t.Fatal(err)
		}
		out := &departures{clock: clock}
		if _, err := io.Copy(out, resp.Body); err != nil || clock.Now() != 1300*ms || !slices.Equal(out.at, want) {
			t.Errorf("%v, left at %v, end at %v", err, out.at, clock.Now())
		}
	})
}

// A request that is cancelled ends at once, wherever it waits.
func TestForwardedRequestIsCancelled(t *testing.T) {
	for _, perReadWrite := range []bool{false, true} {
		for name, cancelled := range map[string]time.Duration{"on its way": 100 * ms, "on its way back": 400 * ms, "in its body": 700 * ms} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clock := NewClock()
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(cancelled, cancel)
					silent := &arrivals{clock: clock, closed: make(chan struct{})}
					context.AfterFunc(ctx, func() { close(silent.closed) }) // as a Transport does
					far := func(*http.Request) (*http.Response, error) { return answers(silent), nil }
					_, resp, err := exchange(ctx, delayed(constant(300*ms), perReadWrite, 1), clock, nil, far)
					if err == nil {
						_, err = resp.Body.Read(make([]byte, 1))
					}
					if clock.Now() != cancelled || !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("ended at %v with %v", clock.Now(), err)
					}
				})
			})
		}
	}
}

// How a body breaks off is told to whoever reads it, behind what came before,
// and kept.
func TestForwardedBodyBreaksOff(t *testing.T) {
	for _, plan := range []*faults.Plan{{}, delayed(constant(300*ms), false, 1), delayed(constant(300*ms), true, 1)} {
		synctest.Test(t, func(t *testing.T) {
			clock := NewClock()
			far := func(*http.Request) (*http.Response, error) {
				return answers(&arrivals{clock: clock, rest: []arrival{{0, "par", nil}, {0, "t", syscall.ECONNRESET}}}), nil
			}
			fw, resp, err := exchange(t.Context(), plan, clock, nil, far)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			if _, err := io.Copy(&got, resp.Body); err != syscall.ECONNRESET || got.String() != "part" {
				t.Errorf("%q, %v", &got, err)
			}
			if fw.down.err() != syscall.ECONNRESET || fw.down.over.Load() {
				t.Errorf("kept %v, over %v", fw.down.err(), fw.down.over.Load())
			}
		})
	}
}

func TestForwardedFaultEndsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := planOf(breaks{err: syscall.ECONNRESET})
		far := func(*http.Request) (*http.Response, error) { panic("the request got through") }
		if _, _, err := exchange(t.Context(), plan, NewClock(), nil, far); err != syscall.ECONNRESET {
			t.Error(err)
		}
	})
}
