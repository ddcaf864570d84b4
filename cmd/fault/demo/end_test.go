package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/lines"
)

// untilClosed returns once nothing listens at the address of the URL any more.
func untilClosed(t *testing.T, url string) {
	t.Helper()
	for t.Context().Err() == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestEndWaitsForRequests(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	echo := stub(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		io.WriteString(w, `{}`)
	})
	demo := start(t, Config{EchoURL: echo.URL})
	output := make(chan string, 1)
	go func() {
		<-asked
		output <- demo.stop()
	}()
	go func() {
		<-asked
		untilClosed(t, demo.url)
		close(release)
	}()
	if got := get(t, demo.url+"/ping"); got.status != 200 {
		t.Errorf("the request in flight got %d %q", got.status, got.body)
	}
	if text := <-output; !strings.Contains(text, "GET   /ping       200 ") {
		t.Errorf("no line for the request in flight:\n%s", text)
	}
}

func TestEndCutsOffRequests(t *testing.T) {
	asked := make(chan struct{})
	echo := stub(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	demo := start(t, Config{EchoURL: echo.URL})
	output := make(chan string, 1)
	go func() {
		<-asked
		output <- demo.stop()
	}()
	// Whether the client still gets the 502 or a closed connection is a race; that it gets no more is not.
	resp, err := client.Get(demo.url + "/ping")
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway {
			t.Errorf("status %d, want 502 or an error", resp.StatusCode)
		}
	}
	if text := <-output; !strings.Contains(text, "GET   /ping       502 ") {
		t.Errorf("no line for the request cut off:\n%s", text)
	}
}

// unread stands in for a terminal that nobody reads: it shows its first text and accepts none.
type unread struct {
	first   chan string
	release chan struct{}
}

func (u *unread) Write(p []byte) (int, error) {
	select {
	case u.first <- string(p):
	default:
	}
	<-u.release
	return len(p), nil
}

func TestUnreadOutputHoldsNothing(t *testing.T) {
	out := &unread{first: make(chan string, 1), release: make(chan struct{})}
	defer close(out.release)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Config{Out: out}) }()
	url := addressLine.FindStringSubmatch(<-out.first)[1]
	for range 20 {
		if got := get(t, url+"/"); got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// brokenPipe fails every write after the first.
type brokenPipe struct {
	*screen
	writes int
}

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.writes++; b.writes > 1 {
		return 0, errors.New("broken pipe")
	}
	return b.screen.Write(p)
}

func TestBrokenOutputEndsOutputOnly(t *testing.T) {
	out := &brokenPipe{screen: newScreen()}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Config{Out: out}) }()
	url := addressLine.FindStringSubmatch(<-out.first)[1]
	for range 5 {
		if got := get(t, url+"/"); got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if out.writes > 2 {
		t.Errorf("%d writes, want none after the failed one", out.writes)
	}
}

func TestFailedListenerEndsTheDemo(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	s := &server{out: lines.NewWriter(io.Discard)}
	defer s.out.Close(outputGrace)
	if err := s.serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve = %v, want the listener's error", err)
	}
}
