package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/faultproxy/fault/faults"
)

// waitingLimit bounds how many requests may wait for a response. What comes
// when more do is not followed.
const waitingLimit = 1 << 12

// conversation is a connection on which requests of plain HTTP are answered here,
// some instead of the server. What is not answered goes on byte for byte, also
// if it turns out to be no HTTP: messages are followed, and never written anew.
//
// Requests are read by the link to the server (see [requests]), responses by
// the link to the client; what is injected comes between two responses.
type conversation struct {
	upstream io.Reader
	out      chan []byte   // what goes to the client
	closing  chan struct{} // closed when nothing follows the last answer
	ended    chan struct{} // closed when the upstream has, with why
	err      error
	plain    chan struct{} // closed when what the upstream sends is not followed
	unread   chan struct{} // closed when nobody reads any more
	left     sync.Once
	rest     []byte // of the last from out
	opening  opening

	mu      sync.Mutex
	changed sync.Cond
	waiting []string // methods of the requests that the upstream is still to answer
	opaque  bool     // no answer of ours has a place any more
}

func newConversation(upstream io.Reader) *conversation {
	x := &conversation{
		upstream: upstream, out: make(chan []byte), closing: make(chan struct{}),
		ended: make(chan struct{}), plain: make(chan struct{}), unread: make(chan struct{}),
	}
	x.changed.L = &x.mu
	return x
}

// answers gives what answers requests of a flow; nil if nothing does.
func (s *Server) answers(f *Flow) *faults.Answers {
	if !f.Matched {
		return nil
	}
	a := s.Plan.Answers(f.ID)
	if a == nil || a.Spent(s.Clock.Now()) {
		return nil
	}
	return a
}

// converse is carry for a flow in which requests are answered.
func (s *Server) converse(f *Flow, answers *faults.Answers, client *net.TCPConn, upstream stream, early []byte) error {
	toServer, toClient := s.shapes(f)
	x := newConversation(upstream)
	r := newRequests(x, withEarly(early, client), client.SetReadDeadline)
	var status atomic.Int64
	r.decide = func() (*faults.HTTPResponse, []faults.Effect) { return answers.Decide(s.Clock.Now()) }
	r.spent = func() bool { return answers.Spent(s.Clock.Now()) }
	r.tell = func(response *faults.HTTPResponse, effects []faults.Effect) {
		if response != nil {
			status.Store(int64(response.Status))
		}
		toServer.decided(effects)
	}
	r.watch = func(gone func()) (stop func()) { return watch(client, gone) }
	if l, ok := upstream.(*lazy); ok {
		r.connect, r.reach = l.connect, func() error { return l.reach(client) }
		r.silence = s.speakers.silence(f.Host)
		x.opening.spoke = func(first End) { s.speakers.learn(f.Host, first) }
	}
	toServer.src, toClient.src = r, x
	var follow sync.WaitGroup
	follow.Go(x.follow)
	err := s.join(f, client, upstream, toServer, toClient)
	x.leave()
	follow.Wait()
	f.Answered = int(status.Load())
	if x.isClosing() {
		f.EndedBy = EndFault
	}
	return err
}

// decided tells what faults decided about a request.
func (s *shaping) decided(effects []faults.Effect) {
	for _, e := range effects {
		s.report(e, 0, s.clock.Now())
	}
}

// Read gives what goes to the client.
func (x *conversation) Read(p []byte) (int, error) {
	for len(x.rest) == 0 {
		select {
		case x.rest = <-x.out:
		case <-x.closing:
			return 0, io.EOF
		case <-x.ended:
			return 0, x.err
		case <-x.plain:
			return x.upstream.Read(p)
		case <-x.unread:
			return 0, net.ErrClosed
		}
	}
	n := copy(p, x.rest)
	x.rest = x.rest[n:]
	return n, nil
}

// leave says that nobody reads any more.
func (x *conversation) leave() {
	x.left.Do(func() { close(x.unread) })
	x.stop()
}

func (x *conversation) isClosing() bool {
	select {
	case <-x.closing:
		return true
	default:
		return false
	}
}

// give hands bytes on to the link to the client. False means that it is gone.
func (x *conversation) give(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	select {
	case x.out <- b:
		return true
	case <-x.unread:
		return false
	}
}

// follow hands on what the upstream sends as long as that is what was asked
// for; what comes then is only to be read.
func (x *conversation) follow() {
	in := &passed{to: x, src: x.upstream}
	x.followMessages(in)
	x.stop()
	if x.err = in.err; x.err == nil {
		close(x.plain)
	} else {
		close(x.ended)
	}
}

// followMessages returns when what comes is not to be followed any more.
func (x *conversation) followMessages(in *passed) {
	br := bufio.NewReaderSize(in, readSize)
	for {
		if !beginsResponse(br) {
			return
		}
		method, ok := x.next()
		if !ok {
			return // nobody has asked: not HTTP, or no longer
		}
		in.begin(headLimit)
		response, err := http.ReadResponse(br, &http.Request{Method: method})
		in.begin(0)
		if err != nil || response.Close || response.StatusCode == http.StatusSwitchingProtocols {
			return // no response follows
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return // that it is malformed is for the client to say
		}
		if response.StatusCode >= 200 && !x.answered(br.Buffered() > 0) {
			return
		}
	}
}

// beginsResponse says whether what comes begins with the version of HTTP/1. It
// does not wait for more than it takes to tell.
func beginsResponse(br *bufio.Reader) bool {
	const version = "HTTP/1."
	for n := range version {
		if b, err := br.Peek(n + 1); err != nil || b[n] != version[n] {
			return false
		}
	}
	return true
}

// passed is a reader of the upstream that hands on what it reads at once,
// whatever a parser then makes of it.
type passed struct {
	to    *conversation
	src   io.Reader
	limit int // of a head; 0 is none
	n     int // bytes of it
	err   error
}

// begin sets how many bytes may be read until the next begin.
func (p *passed) begin(limit int) { p.limit, p.n = limit, 0 }

func (p *passed) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if p.limit > 0 && p.n > p.limit {
		return 0, errTooLong
	}
	n, err := p.src.Read(b)
	if n > 0 {
		p.to.opening.by(EndUpstream)
	}
	p.n += n
	p.err = err
	if !p.to.give(bytes.Clone(b[:n])) {
		p.err = net.ErrClosed
	}
	return n, p.err
}

// ask notes a request that goes to the upstream.
func (x *conversation) ask(method string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == waitingLimit {
		x.opaque = true
	}
	if !x.opaque {
		x.waiting = append(x.waiting, method)
	}
}

// next is the method of the request that the upstream is about to answer.
func (x *conversation) next() (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 || x.opaque {
		return "", false
	}
	return x.waiting[0], true
}

// answered notes that a response is complete. If more came than was asked for,
// nothing that follows is a response, and it returns false.
func (x *conversation) answered(more bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting = x.waiting[1:]
	x.opaque = x.opaque || more && len(x.waiting) == 0
	x.changed.Broadcast()
	return !x.opaque
}

// stop says that no answer of ours has a place any more.
func (x *conversation) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.opaque = true
	x.changed.Broadcast()
}

// followed says whether there may be a place for an answer of ours.
func (x *conversation) followed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.opaque
}

// turn waits until all that was asked is answered, so that an answer of ours
// can follow. False means that there is no place for one.
func (x *conversation) turn() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.waiting) > 0 && !x.opaque {
		x.changed.Wait()
	}
	return !x.opaque
}

// idle says whether all that was asked is answered.
func (x *conversation) idle() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.waiting) == 0 || x.opaque
}

var errTooLong = errors.New("the head of a message is too long")
