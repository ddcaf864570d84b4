package e2e

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// transcript is what one end put on a connection and took from it.
type transcript struct {
	Sent, Got []byte
	// End is how the peer ended it, empty if it was ended here.
	End string
}

// recorder is a connection that keeps its transcript.
type recorder struct {
	net.Conn
	reading, writing sync.Mutex // keep in order what two goroutines do

	mu     sync.Mutex
	so     transcript
	closed bool
}

func (r *recorder) Read(p []byte) (int, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.so.Got = append(r.so.Got, p[:n]...)
	switch {
	case errors.Is(err, io.EOF):
		r.so.End = "end of stream"
	case errors.Is(err, syscall.ECONNRESET):
		r.so.End = "reset"
	}
	return n, err
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	n, err := r.Conn.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.so.Sent = append(r.so.Sent, p[:n]...)
	return n, err
}

func (r *recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	return r.Conn.Close()
}

// written is the transcript so far, and whether it is complete.
func (r *recorder) written() (transcript, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.so, r.closed
}

// recordings is a listener that records its connections.
type recordings struct {
	net.Listener
	mu  sync.Mutex
	all []*recorder
}

func (rs *recordings) Accept() (net.Conn, error) {
	c, err := rs.Listener.Accept()
	if err != nil {
		return nil, err
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := &recorder{Conn: c}
	rs.all = append(rs.all, r)
	return r, nil
}

// transcripts waits until the connections have been closed here, and gives
// them in the order in which they came.
func (rs *recordings) transcripts(t *testing.T) []transcript {
	t.Helper()
	var all []transcript
	eventually(t, "the server has closed its connections", func() bool {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		all = nil
		for _, r := range rs.all {
			so, complete := r.written()
			if !complete {
				return false
			}
			all = append(all, so)
		}
		return true
	})
	return all
}
