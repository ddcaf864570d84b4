package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

)

// shapedTransport sends the requests of the forward proxy through the faults:
// the head and the body of a request are the pieces to the server, those of
// the response the pieces to the client.
type shapedTransport struct{ next http.RoundTripper }

// RoundTrip is that of http.RoundTripper.
func (t *shapedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	fw := r.Context().Value(forwardedKey{}).(*forwarded)
	if err := fw.up.head(headSize(r.Header)+len(r.URL.RequestURI()), nil); err != nil {
		return nil, err
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		fw.flow.Upstream = addrPort(info.Conn.RemoteAddr())
	}}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
	if r.Body != nil && r.Body != http.NoBody {
		fw.up.src = r.Body
		r.Body = &fw.up
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := fw.down.head(headSize(resp.Header), resp.Body); err != nil {
		resp.Body.Close()
		return nil, err
	}
	fw.down.closer = resp.Body
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok { // 101 Switching Protocols
		resp.Body = upgrade(fw, conn)
	} else {
		resp.Body = &fw.down
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
	closer io.Closer // closed with the body, if not nil

	filling bool
	rest    []byte
	end     error

	bytes atomic.Int64
	mu    sync.Mutex // guards shaping.sum
}

// head is the first piece; it returns when that may go on. Bytes that come
// behind it, from src, are taken in meanwhile.
func (b *body) head(size int, src io.Reader) error {
	b.src = src
	if b.chain.Spent() {
		b.end = errSpent
		return nil
	}
	b.queue = newLine(b.clock, b.stop)
	p := b.shape(nil, size, nil)
	b.queue.put(p)
	if src != nil && p.end == nil {
		b.fillOnce()
	}
	if _, ok := b.queue.take(); !ok {
		return errStopped
	}
	b.tell(p)
	b.end = p.end
	if b.end == errSpent {
		return nil
	}
	return b.end
}

func (b *body) fillOnce() {
	if !b.filling {
		b.filling = true
		go b.fill()
	}
}

func (b *body) tell(p piece) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account(p)
}

// told gives what the link carried and what was injected into it so far.
func (b *body) told() (int64, Injection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Load(), b.sum
}

// Read gives bytes when their time has come.
func (b *body) Read(dst []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.end == errSpent {
			n, err := b.src.Read(dst)
			b.bytes.Add(int64(n))
			return n, err
		}
		if b.end != nil {
			return 0, b.end
		}
		b.fillOnce()
		p, ok := b.queue.take()
		if !ok {
			return 0, errStopped
		}
		b.tell(p)
		b.rest, b.end = p.data, p.end
	}
	n := copy(dst, b.rest)
	b.rest = b.rest[n:]
	b.bytes.Add(int64(n))
	return n, nil
}

// Close closes a response's body. That of a request belongs to the server that
// the request came to.
func (b *body) Close() error {
	if b.closer == nil {
		return nil
	}
	return b.closer.Close()
}

// upgradedBody is the connection behind a 101 response: the response's link
// for reading, and for writing one of its own that goes on with the request's
// chain.
type upgradedBody struct {
	*body
	toServer *io.PipeWriter
}

func upgrade(fw *forwarded, conn io.ReadWriteCloser) *upgradedBody {
	r, w := io.Pipe()
	l := &link{shaping: fw.up.shaping, dst: conn}
	l.src, l.sum = r, Injection{}
	go func() {
		err := l.run()
		if half, ok := conn.(interface{ CloseWrite() error }); ok && err == nil {
			err = half.CloseWrite()
		}
		r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		fw.up.bytes.Add(l.bytes)
	}()
	return &upgradedBody{&fw.down, w}
}

// Write sends to the server.
func (u *upgradedBody) Write(p []byte) (int, error) { return u.toServer.Write(p) }

// CloseWrite passes on the client's end of stream.
func (u *upgradedBody) CloseWrite() error { return u.toServer.Close() }

// Close ends both directions.
func (u *upgradedBody) Close() error {
	u.toServer.Close()
	return u.body.Close()
}

