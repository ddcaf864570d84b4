package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/faultproxy/fault/faults"
)

// lingerTime is how long a client may still send after the last answer. A
// connection that is closed on what it sends would lose the answer. Only tests
// set it.
var lingerTime = 2 * time.Second

const (
	// headLimit bounds the head of a message that is followed.
	headLimit = 1 << 20
	// lineLimit bounds a request line.
	lineLimit = 16 << 10
	// bodyLimit is how much of a body is read before a request is answered; of
	// a larger one the answer is the last on its connection.
	bodyLimit = 256 << 10
)

// requests reads what goes to the server: all that the client sends but for
// the requests that are answered.
type requests struct {
	with     *conversation
	deadline func(time.Time) error // sets that of reading from the client
	silence  time.Duration         // that the client may keep; see [speakers]
	first    time.Duration         // is speakFirst
	last     time.Duration         // is lingerTime

	decide func() (*faults.HTTPResponse, []faults.Effect) // what answers a request, nil if the server does
	tell   func(*faults.HTTPResponse, []faults.Effect)    // what was decided, and done
	spent  func() bool                                    // says that no request will be answered any more
	watch  func(gone func()) (stop func())                // tells of a client that leaves while nobody reads
	// connect begins to dial the upstream, and reach waits until it is dialled.
	connect func()
	reach   func() error

	raw     *recorded
	br      *bufio.Reader
	begun   bool   // the client has said something
	body    extent // of the request under way
	through bool   // what follows is not looked at
	ready   []byte
	err     error // behind what is ready
}

// newRequests reads from a client, in a conversation whose upstream is there.
func newRequests(x *conversation, src io.Reader, deadline func(time.Time) error) *requests {
	raw := &recorded{src: src}
	return &requests{
		with: x, deadline: deadline, silence: speakFirst, first: speakFirst, last: lingerTime, raw: raw, br: bufio.NewReaderSize(raw, readSize),
		connect: func() {}, reach: func() error { return nil },
		watch: func(func()) (stop func()) { return func() {} },
	}
}

// Read gives what goes to the server.
func (r *requests) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		switch {
		case r.err != nil:
			return 0, r.err
		case !r.body.ended():
			r.goOn()
		case r.through:
			return r.raw.src.Read(p)
		default:
			r.begin()
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// begin reads the head of the next request.
func (r *requests) begin() {
	if err := r.awaitFirst(); err != nil {
		if r.err = err; !r.begun && err == io.EOF {
			r.pass(nil) // a client that has nothing to say may still listen
		}
		return
	}
	if !r.with.followed() || !r.isRequest() {
		r.letThrough()
		return
	}
	request, err := r.readHead()
	if err != nil {
		r.letThrough()
		return
	}
	response, effects := r.decide()
	if response != nil && r.turn() {
		r.answer(request, response, effects)
		return
	}
	for i := range effects {
		effects[i].Hit = 0 // there was no place for an answer
	}
	r.tell(nil, effects)
	r.with.ask(request.Method)
	r.pass(r.raw.take(r.br))
	if r.spent() || request.Close || request.Method == http.MethodConnect || request.Header.Get("Upgrade") != "" {
		r.letThrough()
		return
	}
	r.body = extentOf(request)
}

// awaitFirst waits for the first byte of a request. A server that may be the
// first to speak is not kept waiting.
func (r *requests) awaitFirst() error {
	if !r.begun {
		_ = r.deadline(time.Now().Add(r.silence))
		_, err := r.br.Peek(1)
		_ = r.deadline(time.Time{})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return r.begins(err)
		}
		r.connect()
	}
	_, err := r.br.Peek(1)
	return r.begins(err)
}

// begins notes that the client has spoken, if it has.
func (r *requests) begins(err error) error {
	if err == nil {
		r.begun = true
		r.with.opening.by(EndClient)
	}
	return err
}

// isRequest says whether what comes begins with the line of a request of
// HTTP/1.
func (r *requests) isRequest() bool {
	defer r.deadline(time.Time{})
	for {
		line, _ := r.br.Peek(r.br.Buffered())
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return i <= lineLimit && isRequestLine(string(line[:i]))
		}
		if !mayBeRequestLine(line) || len(line) > lineLimit {
			return false
		}
		_ = r.deadline(time.Now().Add(r.first))
		if _, err := r.br.Peek(len(line) + 1); err != nil {
			return false
		}
	}
}

// readHead reads the head of a request. The error is also that it takes too
// long: how patient to be with it is for the server to say.
func (r *requests) readHead() (*http.Request, error) {
	r.raw.limit = headLimit
	_ = r.deadline(time.Now().Add(headerTimeout))
	request, err := http.ReadRequest(r.br)
	_ = r.deadline(time.Time{})
	r.raw.limit = 0
	return request, err
}

// isRequestLine says whether a line is METHOD TARGET HTTP/1.x.
func isRequestLine(line string) bool {
	method, rest, _ := strings.Cut(strings.TrimSuffix(line, "\r"), " ")
	target, version, ok := strings.Cut(rest, " ")
	return ok && method != "" && target != "" && mayBeRequestLine([]byte(line)) &&
		(version == "HTTP/1.1" || version == "HTTP/1.0")
}

// mayBeRequestLine says whether a line may still become one. Methods in use are
// in capitals, and short.
func mayBeRequestLine(line []byte) bool {
	const longestMethod = 32
	method, _, whole := bytes.Cut(line, []byte(" "))
	if len(method) > longestMethod || whole && len(method) == 0 {
		return false
	}
	for _, c := range method {
		if !(c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// turn waits for the place of an answer, as long as the client does.
func (r *requests) turn() bool {
	if !r.with.idle() {
		defer r.watch(r.with.stop)()
	}
	return r.with.turn()
}

// goOn reads more of the body of a request that goes to the server.
func (r *requests) goOn() {
	_, broken := r.br.Peek(1)
	more, _ := r.br.Peek(r.br.Buffered())
	n, err := r.body.take(more)
	if broken != nil || err != nil {
		r.body = extent{}
		r.letThrough() // what is wrong with it is for the server to say
		return
	}
	_, _ = r.br.Discard(n)
	r.pass(r.raw.take(r.br))
}

// pass has bytes go to the server, once that is reached.
func (r *requests) pass(b []byte) {
	if err := r.reach(); err != nil {
		r.ready, r.err = nil, err
		return
	}
	r.ready = append(r.ready, b...)
}

// letThrough has everything from here on go to the server.
func (r *requests) letThrough() {
	r.through = true
	r.err = r.raw.err
	r.pass(r.raw.all(r.br))
}

// answer answers a request, of which the server gets nothing.
func (r *requests) answer(request *http.Request, response *faults.HTTPResponse, effects []faults.Effect) {
	last := isLast(request)
	if !last {
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			last = true // the client has broken off, and may still listen
		}
		if err := r.raw.err; err != nil && err != io.EOF {
			r.err = err
			return
		}
	}
	r.raw.take(r.br)
	if !r.with.give(render(response, request, last)) {
		r.err = io.EOF // there is nobody to answer
		return
	}
	r.tell(response, effects)
	if last {
		close(r.with.closing)
		r.linger()
	}
}

// linger reads what the client sends behind the last answer until it ends, or
// until it has had time enough to read that answer.
func (r *requests) linger() {
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-r.with.unread:
			_ = r.deadline(time.Now().Add(r.last))
		case <-ended:
		}
	}()
	_, _ = io.Copy(io.Discard, r.raw.src)
	r.err = io.EOF
}

// recorded is a reader that keeps what was read, so that it can go on as it
// was although a parser has had it.
type recorded struct {
	src   io.Reader
	bytes []byte
	limit int   // of what is kept; 0 is none
	err   error // of src, which may tell of it only once
}

func (r *recorded) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.limit > 0 && len(r.bytes) > r.limit {
		return 0, errTooLong
	}
	n, err := r.src.Read(p)
	r.bytes = append(r.bytes, p[:n]...)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.err = err
	}
	return n, err
}

// take gives what the parser behind br has consumed since.
func (r *recorded) take(br *bufio.Reader) []byte {
	n := len(r.bytes) - br.Buffered()
	taken := append([]byte(nil), r.bytes[:n]...)
	r.bytes = append(r.bytes[:0], r.bytes[n:]...)
	return taken
}

// all gives that and what br holds.
func (r *recorded) all(br *bufio.Reader) []byte {
	_, _ = br.Discard(br.Buffered())
	return r.take(br)
}
