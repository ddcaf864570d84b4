package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// script is what one end says, and when, without a clock.
type script struct {
	pieces  []spoken
	end     error
	mu      sync.Mutex
	hurried bool // the reader has a deadline
	late    bool // and has missed it
}

// spoken is a piece of a script. An empty one is a pause, which a hurried reader
// does not wait for.
type spoken struct {
	text  string
	after func() // waits for its cue; may be nil
}

func (s *script) Read(b []byte) (int, error) {
	for len(s.pieces) > 0 {
		p := &s.pieces[0]
		if p.after != nil {
			p.after()
		}
		if p.text != "" {
			n := copy(b, p.text)
			if p.text = p.text[n:]; p.text == "" {
				s.pieces = s.pieces[1:]
			}
			return n, nil
		}
		if s.misses() {
			return 0, os.ErrDeadlineExceeded
		}
		s.pieces = s.pieces[1:]
	}
	end := s.end
	s.end = io.EOF // a reset is told of once
	return 0, end
}

// misses says whether a pause is too long for the reader, until that has
// another deadline.
func (s *script) misses() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = s.late || s.hurried
	return s.hurried
}

func (s *script) deadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried = !at.IsZero()
	if s.late {
		s.late, s.pieces = false, s.pieces[1:]
	}
	return nil
}

// cut makes a script of a text. Each byte of cuts is the length of a piece, or a
// pause.
func cut(text string, cuts []byte, end error) *script {
	s := &script{end: end}
	for _, c := range cuts {
		size := min(int(c), len(text))
		s.pieces = append(s.pieces, spoken{text: text[:size]})
		text = text[size:]
	}
	if text != "" {
		s.pieces = append(s.pieces, spoken{text: text})
	}
	return s
}

// ear is what one end heard so far.
type ear struct {
	mu    sync.Mutex
	more  sync.Cond
	heard bytes.Buffer
}

func newEar() *ear {
	e := &ear{}
	e.more.L = &e.mu
	return e
}

func (e *ear) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.more.Broadcast()
	return e.heard.Write(b)
}

// wait waits until so many bytes were heard.
func (e *ear) wait(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.heard.Len() < n {
		e.more.Wait()
	}
}

// rehearse has two scripts meet in a conversation, and returns how each link
// ended.
func rehearse(t *testing.T, client *script, server io.Reader, toServer, toClient io.Writer, decide func() *faults.HTTPResponse) (up, down error) {
	t.Helper()
	x := newConversation(server)
	r := newRequests(x, client, client.deadline)
	r.decide = func() (*faults.HTTPResponse, []faults.Effect) { return decide(), nil }
	r.tell = func(*faults.HTTPResponse, []faults.Effect) {}
	r.spent = func() bool { return false }
	var work sync.WaitGroup
	work.Go(x.follow)
	work.Go(func() {
		_, up = io.Copy(toServer, bare{r})
		if c, ok := toServer.(io.Closer); ok {
			c.Close()
		}
	})
	work.Go(func() {
		_, down = io.Copy(toClient, bare{x})
		x.leave()
	})
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	next(t, done)
	return up, down
}

// writeCloser is a writer that is told of the end.
type writeCloser struct {
	io.Writer
	end func()
}

func (w writeCloser) Close() error { w.end(); return nil }

// bare is a reader that gives io.EOF as an error, too.
type bare struct{ io.Reader }

func (b bare) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errEnd
	}
	return n, err
}

var (
	errEnd   = errors.New("the end of the stream")
	errBreak = errors.New("a reset")
)

func never() *faults.HTTPResponse { return nil }

// unaltered checks that both ends hear what the other says, whatever that is.
// cues say of the pieces of the server after how many bytes of the client they
// come.
func unaltered(t *testing.T, client, server string, cuts, cues []byte, clientBreaks, serverBreaks bool) {
	t.Helper()
	ends := map[bool]error{false: io.EOF, true: errBreak}
	said, answered := cut(client, cuts, ends[clientBreaks]), cut(server, cues, ends[serverBreaks])
	toServer, toClient := newEar(), newEar()
	for i := range answered.pieces {
		n := len(client)
		if i < len(cues) {
			n = min(n, int(cues[len(cues)-1-i])*4)
		}
		answered.pieces[i].after = func() { toServer.wait(n) }
	}
	up, down := rehearse(t, said, answered, toServer, toClient, never)
	if toServer.heard.String() != client {
		t.Errorf("the server heard %q instead of %q", &toServer.heard, client)
	}
	if toClient.heard.String() != server {
		t.Errorf("the client heard %q instead of %q", &toClient.heard, server)
	}
	if (up == errBreak) != clientBreaks || (down == errBreak) != serverBreaks || up == nil || down == nil {
		t.Errorf("the client ended with %v, the server with %v", up, down)
	}
}

// Wherever a message breaks off, and however it is cut, nothing of it is lost.
func TestConversationBreaksOff(t *testing.T) {
	for _, e := range dialogue {
		for _, ends := range [][2]bool{{false, false}, {true, true}} {
			for at := range min(len(e.request), 200) {
				unaltered(t, e.request[:at], "", []byte{byte(at / 2), 0}, nil, ends[0], ends[1])
				unaltered(t, simple+e.request[:at], ok, []byte{byte(at)}, nil, ends[0], ends[1])
			}
			for at := range min(len(e.response), 200) {
				unaltered(t, e.request, e.response[:at], nil, []byte{byte(at / 2)}, ends[0], ends[1])
			}
		}
	}
}

// A client that is slow with its head is left to the patience of the server.
func TestSlowHeadIsPassed(t *testing.T) {
	asked := 0
	always := func() *faults.HTTPResponse { asked++; return &faults.HTTPResponse{Status: 503} }
	for _, tc := range []struct {
		cuts   []byte
		passed bool
	}{
		{[]byte{5, 0}, true},     // in the line
		{[]byte{18, 0}, true},    // in the head, for longer than anybody waits
		{[]byte{16, 0}, true},    // at the end of the line
		{[]byte{5, 5, 5}, false}, // without a pause
		{[]byte{0, 5, 5}, false}, // before it all
	} {
		heard, over := newEar(), make(chan struct{})
		toServer := writeCloser{heard, func() { close(over) }}
		server := &script{pieces: []spoken{{after: func() { <-over }}}, end: io.EOF}
		up, _ := rehearse(t, cut(simple, tc.cuts, io.EOF), server, toServer, io.Discard, always)
		if (heard.heard.String() == simple) != tc.passed || !tc.passed && heard.heard.Len() > 0 || up != errEnd {
			t.Errorf("%v: the server heard %q, %v", tc.cuts, &heard.heard, up)
		}
	}
	if asked != 2 {
		t.Errorf("%d requests were decided about", asked)
	}
}

// Requests that nobody answers are not remembered without end.
func TestWaitingIsBounded(t *testing.T) {
	const more = waitingLimit + 100
	x := newConversation(nil)
	for range more {
		x.ask("GET")
	}
	if len(x.waiting) > waitingLimit || x.followed() {
		t.Errorf("%d are waiting", len(x.waiting))
	}
	asked := 0
	toServer := newEar()
	server := &script{pieces: []spoken{{text: "x", after: func() { toServer.wait(more * len(simple)) }}}, end: io.EOF}
	_, _ = rehearse(t, cut(strings.Repeat(simple, more), nil, io.EOF), server, toServer, io.Discard,
		func() *faults.HTTPResponse { asked++; return nil })
	if asked > waitingLimit+1 {
		t.Errorf("%d requests were decided about", asked)
	}
}

// An answer does not wait for its turn in a conversation that is over.
func TestNoTurnWhenNobodyReads(t *testing.T) {
	for name, end := range map[string]func(*conversation){"left": (*conversation).leave, "ended": (*conversation).follow} {
		t.Run(name, func(t *testing.T) {
			x := newConversation(strings.NewReader(""))
			x.ask("GET")
			turn := make(chan bool, 1)
			go func() { turn <- x.turn() }()
			end(x)
			if next(t, turn) || x.followed() || !x.idle() {
				t.Error("it has a place")
			}
			x.leave()
			if x.give([]byte("x")) {
				t.Error("it was given")
			}
		})
	}
}

// Lingering begins when the last answer has gone, however long that takes.
func TestLingeringBeginsBehindTheAnswer(t *testing.T) {
	noLeaks(t)
	src, client := io.Pipe()
	set := make(chan struct{}, 1)
	x := newConversation(nil)
	r := newRequests(x, src, func(time.Time) error { set <- struct{}{}; return nil })
	lingered := make(chan struct{})
	go func() { r.linger(); close(lingered) }()
	send(t, client, "more")
	time.Sleep(quiet)
	select {
	case <-set:
		t.Error("it has begun")
	default:
	}
	x.leave()
	next(t, set)
	client.Close()
	next(t, lingered)
}

func TestIsRequestLine(t *testing.T) {
	for line, want := range map[string]bool{
		"GET / HTTP/1.1":                        true,
		"GET / HTTP/1.1\r":                      true,
		"GET / HTTP/1.0":                        true,
		"OPTIONS * HTTP/1.1":                    true,
		"CONNECT x:1 HTTP/1.1":                  true,
		"M-SEARCH * HTTP/1.1":                   true,
		"A_B /?a=b&c HTTP/1.1":                  true,
		"GET http://x/ HTTP/1.1":                true,
		strings.Repeat("A", 32) + " / HTTP/1.1": true,
		strings.Repeat("A", 33) + " / HTTP/1.1": false,
		"":                                      false,
		"GET":                                   false,
		"GET ":                                  false,
		"GET /":                                 false,
		"GET / ":                                false,
		"GET / HTTP/2.0":                        false,
		"GET / HTTP/1.2":                        false,
		"GET / HTTP/1.1 ":                       false,
		"GET / HTTP/1.1\r\r":                    false,
		"GET / http/1.1":                        false,
		"GET  / HTTP/1.1":                       false,
		"GET / / HTTP/1.1":                      false,
		" / HTTP/1.1":                           false,
		"get / HTTP/1.1":                        false,
		"Get / HTTP/1.1":                        false,
		"G\x00T / HTTP/1.1":                     false,
		"GET\t/\tHTTP/1.1":                      false,
		"PRI * HTTP/2.0":                        false,
		"HTTP/1.1 200 OK":                       false,
		"\x16\x03\x01 / HTTP/1.1":               false,
		"GET " + strings.Repeat("/", 100) + " HTTP/1.1": true,
	} {
		if isRequestLine(line) != want {
			t.Errorf("%q is one: %v", line, !want)
		}
	}
}

func FuzzRequestLine(f *testing.F) {
	for _, line := range []string{"GET / HTTP/1.1", "M-SEARCH * HTTP/1.0\r", "PRI * HTTP/2.0", "GET  HTTP/1.1", "get / HTTP/1.1", "CONNECT [::1]:80 HTTP/1.1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "\n") || !isRequestLine(line) {
			return
		}
		for i := range len(line) {
			if !mayBeRequestLine([]byte(line[:i])) {
				t.Errorf("%q is one, and %q cannot become one", line, line[:i])
			}
		}
		if !strings.Contains(" HTTP/1.0 HTTP/1.1", line[max(0, len(strings.TrimSuffix(line, "\r"))-9):len(strings.TrimSuffix(line, "\r"))]) {
			t.Errorf("%q has no version", line)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + "\nHost: x\r\n\r\n")))
		if err == nil && (r.ProtoMajor != 1 || !strings.HasPrefix(line, r.Method+" "+r.RequestURI+" ")) {
			t.Errorf("%q is %s of %q in %s to net/http", line, r.Method, r.RequestURI, r.Proto)
		}
	})
}

func FuzzConversation(f *testing.F) {
	for _, e := range dialogue {
		if len(e.request)+len(e.response) < 1<<10 {
			f.Add(e.request, e.response, []byte{10, 0, 3}, []byte{0, 5, 200}, byte(0))
			f.Add(e.request+simple, e.response+ok, []byte{}, []byte{0, 5, 200}, byte(3))
		}
	}
	for _, texts := range []map[string]string{notRequests, brokenRequests} {
		for _, text := range texts {
			if len(text) < 1<<10 {
				f.Add(text, text, []byte{1, 1, 0, 1}, []byte{9, 9}, byte(1))
				f.Add(simple+text, ok+text, []byte{1, 1, 0, 1}, []byte{9, 9}, byte(2))
			}
		}
	}
	f.Fuzz(func(t *testing.T, client, server string, cuts, cues []byte, breaks byte) {
		unaltered(t, client, server, cuts, cues, breaks&1 != 0, breaks&2 != 0)
	})
}

// responses are what a client may hear from [responding], and from us.
var responses = regexp.MustCompile("^(?:" + strings.Join([]string{
	regexp.QuoteMeta(okHead) + "(?:hi)?", regexp.QuoteMeta(notTodayHead) + "(?:not today)?",
	regexp.QuoteMeta(strings.TrimSuffix(notToday10, "not today")) + "(?:not today)?",
}, "|") + ")*(?:" + regexp.QuoteMeta(strings.TrimSuffix(notEver, "not today")) + "(?:not today)?)?$")

var okHead = strings.TrimSuffix(ok, "hi")

// responding is a server that responds to each request that it hears, and ends
// when it hears something else.
func responding(from io.Reader, to *io.PipeWriter) {
	defer to.Close()
	for br := bufio.NewReaderSize(from, 1<<10); ; {
		r, err := http.ReadRequest(br)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err != nil { // as servers do, it hangs up on what it does not understand
			to.Close()
			_, _ = io.Copy(io.Discard, br)
			return
		}
		response := ok
		if r.Method == http.MethodHead {
			response = okHead
		}
		if _, err := io.WriteString(to, response); err != nil {
			return
		}
	}
}

// FuzzAnswers has some requests answered: what the client hears are whole
// responses, one after another, and the server hears nothing that it was not
// told.
func FuzzAnswers(f *testing.F) {
	all := ""
	for _, e := range dialogue {
		if len(e.request) < 1<<10 {
			f.Add(e.request+simple, []byte{3}, uint64(2))
			all += e.request
		}
	}
	f.Add(all, []byte{}, uint64(0x1249249))
	for _, text := range notRequests {
		if len(text) < 1<<10 {
			f.Add(simple+text, []byte{3, 0, 3}, uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, client string, cuts []byte, hits uint64) {
		heardServer, toServer := io.Pipe()
		saysServer, fromServer := io.Pipe()
		go responding(heardServer, fromServer)
		defer saysServer.Close()
		defer heardServer.Close()
		toClient, passed := newEar(), newEar()
		decide := func() *faults.HTTPResponse {
			hit := hits&1 != 0
			if hits >>= 1; hit {
				return &faults.HTTPResponse{Status: 503, Body: "not today"}
			}
			return nil
		}
		both := writeCloser{io.MultiWriter(passed, toServer), func() { toServer.Close() }}
		up, down := rehearse(t, cut(client, cuts, io.EOF), saysServer, both, toClient, decide)
		if up != errEnd || down != errEnd {
			t.Errorf("ended with %v and %v", up, down)
		}
		if !responses.Match(toClient.heard.Bytes()) {
			t.Errorf("the client heard %q", &toClient.heard)
		}
		if !isPart(client, passed.heard.String()) {
			t.Errorf("the server heard %q of %q", &passed.heard, client)
		}
	})
}

// isPart says whether a text is another with parts left out.
func isPart(text, part string) bool {
	for i := 0; i < len(text) && part != ""; i++ {
		if text[i] == part[0] {
			part = part[1:]
		}
	}
	return part == ""
}

// FuzzHead has the forward proxy find out where requests go: to a host that is
// one, with the target as the client spelled it.
func FuzzHead(f *testing.F) {
	for _, e := range exchanges {
		head, _, _ := strings.Cut(strings.NewReplacer("$target", "http://x:1", "$host", "x:1").Replace(e.request), "\r\n\r\n")
		f.Add(head)
	}
	for _, target := range []string{"http://x", "http://x?a", "https://[::1]:1/", "http://[fe80::1%25eth0]/", "http://x:/", "http://a@x/", "http://x//a//", "*", "http://x/%2f/", "/a", "http://x#a"} {
		f.Add("GET " + target + " HTTP/1.1\r\nHost: y:1")
		f.Add("OPTIONS " + target + " HTTP/1.0\r\nHost: [::1]")
	}
	f.Fuzz(func(t *testing.T, head string) {
		in, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n")))
		if err != nil || in.Method == http.MethodConnect {
			return
		}
		in = in.WithContext(context.WithValue(t.Context(), clientKey{}, &client{}))
		host, to, err := (&Server{}).destination(in)
		if err != nil {
			return
		}
		if again, port, err := splitHostPort(host, ""); err != nil || again != to.Host || port != to.Port || to.Host == "" || port == 0 {
			t.Errorf("%q is for %q, %+v: %v", head, host, to, err)
		}
		want := target(in)
		out := &httputil.ProxyRequest{In: in, Out: in.Clone(t.Context())}
		passRequest(out)
		got := out.Out.URL.RequestURI()
		if strings.HasPrefix(want, "//") { // there is no way to have net/http leave that as it is
			got, _ = url.PathUnescape(got)
			want, _ = url.PathUnescape(want)
		}
		if got != want {
			t.Errorf("%q is passed on as %q, want %q", head, got, want)
		}
	})
}

// target is what a server is to hear of what a proxy was asked for.
func target(r *http.Request) string {
	text := r.RequestURI
	if _, rest, ok := strings.Cut(text, "://"); ok && !strings.HasPrefix(text, "/") {
		text = ""
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			text = rest[i:]
		}
	}
	switch {
	case text == "" && r.Method == http.MethodOptions:
		return "*"
	case text == "" || text[0] == '?':
		return "/" + text
	}
	return text
}

// FuzzHost has hosts taken apart and put together again.
func FuzzHost(f *testing.F) {
	for _, text := range []string{"x", "x:1", "x:", ":1", "[::1]", "[::1]:1", "::1", "[fe80::1%eth0]:65535", "x:65536", "[x]:1", "x:01", "x:+1", "", "[]:1", "[]", "a:b:c"} {
		for _, port := range []string{"", "80"} {
			f.Add(text, port)
		}
	}
	f.Fuzz(func(t *testing.T, text, defaultPort string) {
		host, port, err := splitHostPort(text, defaultPort)
		if err != nil {
			return
		}
		if host == "" || port == 0 {
			t.Errorf("%q with %q is %q, %d", text, defaultPort, host, port)
		}
		if again, same, err := splitHostPort(hostPort(host, port), ""); err != nil || again != host || same != port {
			t.Errorf("%q with %q is %q, %d; put together, that is %q, %d, %v", text, defaultPort, host, port, again, same, err)
		}
	})
}
