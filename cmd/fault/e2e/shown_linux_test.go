package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// delay is what a run in a terminal does to each request.
const delay = 400 * time.Millisecond

// shown is a `fault run` that was started in a terminal.
type shown struct {
	*terminal
	pid   int
	proxy string
}

// newShown opens a terminal and runs a command line there that has `fault run`
// in it. The run is explicit, and has two faults.
func newShown(t *testing.T, columns, rows int, command string) *shown {
	t.Helper()
	s := &shown{terminal: newTerminal(t, columns, rows,
		"FAULT_PROXY_ADDRESS=127.0.0.1:0", "FAULT_PROXY_DURATION=2m", "FAULT_JSON=events", "FAULT_SEED=7",
		"FAULT_WITH_LATENCY=1", fmt.Sprint("FAULT_LATENCY_MEAN=", delay.Milliseconds()),
		"FAULT_WITH_JITTER=1", "FAULT_JITTER_AMPLITUDE=1")}
	s.enter(command)
	begun := awaitStart(t, s.eventsPath())
	s.pid, s.proxy = begun.PID, begun.Listen
	return s
}

func (s *shown) eventsPath() string { return filepath.Join(s.dir, "events") }

// told is what the run has told programs so far.
func (s *shown) told() *events {
	s.t.Helper()
	return readEvents(s.t, s.eventsPath())
}

// ended waits for the last event.
func (s *shown) ended() *events {
	s.t.Helper()
	eventually(s.t, "a summary", func() bool { return len(s.told().summaries) > 0 })
	return s.told()
}

func (s *shown) signal(signals ...syscall.Signal) {
	s.t.Helper()
	for _, signal := range signals {
		if err := syscall.Kill(s.pid, signal); err != nil {
			s.t.Fatal(err)
		}
	}
}

// servePage serves a page on a host, and returns its URL.
func (h *host) servePage(t *testing.T, address string) string {
	t.Helper()
	ln := h.listen(t, address)
	go func() {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) }))
	}()
	return "http://" + ln.Addr().String() + "/"
}

// ask gets that page by a proxy on a connection of its own, and says how long
// that took.
func (h *host) ask(t *testing.T, proxy, from string) time.Duration {
	t.Helper()
	web := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: proxy}),
		DialContext:       func(_ context.Context, _, address string) (net.Conn, error) { return h.dial(address) },
	}}
	began := time.Now()
	answer, err := web.Get(from)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != page {
		t.Fatalf("the page is %q, %v", text, err)
	}
	return time.Since(began)
}

// delayed wants requests to be delayed, or not to be.
func (s *shown) delayed(page string, want bool) {
	s.t.Helper()
	if took := s.host.ask(s.t, s.proxy, page); (took >= delay) != want {
		s.t.Errorf("a request took %v; is it delayed by %v? want %t", took, delay, want)
	}
}
