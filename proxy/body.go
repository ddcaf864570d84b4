package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/faultproxy/fault/faults"
)

// shapedTransport sends the requests of the forward proxy through the faults:
// the head and the body of a request are the pieces to the server, those of
// the response the pieces to the client.
type shapedTransport struct{}

// RoundTrip is that of http.RoundTripper.
func (shapedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	fw := forwardedBy(r)
	if r.Body != nil && r.Body != http.NoBody {
		fw.up.from(r.Body)
		r.Body = &fw.up
	}
	if err := fw.up.head(headSize(r.Header)+len(r.URL.RequestURI()), false); err != nil {
		return nil, err
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		fw.connected(info.Conn)
	}}
	resp, err := fw.upstreams.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return nil, err
	}
	hasBody := resp.StatusCode != http.StatusSwitchingProtocols
	if hasBody {
		fw.down.from(resp.Body)
		fw.down.closer = resp.Body
		resp.Body = &fw.down
	}
	if err := fw.down.head(headSize(resp.Header), hasBody); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// headSize is about how long a head is on the wire.
func headSize(h http.Header) int {
	n := len("HTTP/1.1 200 OK\r\n\r\n")
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(": \r\n") + len(v)
		}
	}
	return n
}

// body is one link of a forwarded request: a head, and then what is read from
// it. Its reader and whoever asks what it did may be different goroutines.
type body struct {
	shaping
	closer io.Closer       // closed with the body, if not nil
	ended  func(how error) // called when a fault has ended the link

	filling bool
	rest    []byte
	end     error

	over atomic.Bool // its end was read

	mu     sync.Mutex
	broke  error
	closed bool // and what reading says is not how it broke
}

// from sets what the body is read from.
func (b *body) from(r io.Reader) { b.src = source{r, b} }

// source notes how the reading of a body ended.
type source struct {
	io.Reader
	body *body
}

func (s source) Read(p []byte) (int, error) {
	if s.body.over.Load() {
		// A Transport asks once more, and the HTTP server may have closed its
		// request by then: that would look as if the upload had failed.
		return 0, io.EOF
	}
	n, err := s.Reader.Read(p)
	switch err {
	case nil:
	case io.EOF:
		s.body.over.Store(true)
	default:
		s.body.fail(err)
	}
	return n, err
}

// head is the first piece; it returns when that may go on. If the body is
// ahead, what comes of it is taken in meanwhile.
func (b *body) head(size int, ahead bool) error {
	if b.chain.Spent() {
		b.end = errSpent
		return nil
	}
	b.queue = newLine(b.clock, b.life, b.store)
	d := b.chain.Head(b.clock.Now(), size)
	p := piece{leave: d.Leave, effects: d.Effects, end: d.Err}
	if p.end == nil && b.chain.Spent() {
		p.end = errSpent
	}
	if d.Leave == faults.Never {
		b.filling = true
		go b.lose(p, nil, b.absent())
	} else {
		b.queue.put(p)
	}
	if ahead && p.end == nil {
		b.fillOnce()
	}
	p, err := b.queue.take()
	if err != nil {
		return gone(err)
	}
	b.tell(p, b.clock.Now())
	b.ends(p.end)
	if b.end == errSpent {
		return nil
	}
	return b.end
}

// ends sets what follows the last piece.
func (b *body) ends(how error) {
	b.end = how
	if how == faults.ErrReset || how == faults.ErrTruncated {
		b.ended(how)
	}
}

// absent is the end of a body that there is not; nil if there is one.
func (b *body) absent() error {
	if b.src == nil {
		return io.EOF
	}
	return nil
}

// gone is why a request ends that was waiting.
func gone(err error) error {
	if err == errStopped {
		return context.Canceled
	}
	return err
}

func (b *body) fillOnce() {
	if !b.filling {
		b.filling = true
		go b.fill()
	}
}

func (b *body) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && err != errStopped {
		b.broke = err
	}
}

// err is why reading broke off, nil if it did not.
func (b *body) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broke
}

// Read gives bytes when their time has come.
func (b *body) Read(dst []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.end == errSpent {
			n, err := b.src.Read(dst)
			b.count(n)
			return n, err
		}
		if b.end != nil {
			return 0, b.end
		}
		b.fillOnce()
		p, err := b.queue.take()
		if err != nil {
			b.fail(err)
			return 0, gone(err)
		}
		b.tell(p, b.clock.Now())
		b.rest = p.data
		b.ends(p.end)
	}
	n := copy(dst, b.rest)
	b.rest = b.rest[n:]
	b.count(n)
	return n, nil
}

// leave says that nobody will read the body any more.
func (b *body) leave() {
	if b.queue != nil {
		b.queue.leave()
	}
}

// Close closes a response's body. That of a request belongs to the server that
// the request came to.
func (b *body) Close() error {
	if b.closer == nil {
		return nil
	}
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.closer.Close()
}
