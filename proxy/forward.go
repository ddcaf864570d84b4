package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// headerTimeout bounds how long a client may take to send the head of a
// request. Nothing else of HTTP has a time limit of ours.
const headerTimeout = time.Minute

// newHTTPServer serves the explicit clients.
func (s *Server) newHTTPServer() *http.Server {
	forward := s.newForwarder()
	log, _ := zap.NewStdLogAt(s.Log.Named("http"), zap.DebugLevel)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			client := clientOf(r)
			if !s.begin() {
				client.abort()
			}
			defer s.done()
			defer context.AfterFunc(s.ctx, func() { reset(client.TCPConn) })()
			if r.Method == http.MethodConnect && client.mapping == nil {
				s.connect(w, r)
			} else {
				s.forward(forward, w, r)
			}
		}),
		ReadHeaderTimeout:            headerTimeout,
		DisableGeneralOptionsHandler: true, // `OPTIONS *` is for the upstream
		BaseContext:                  func(net.Listener) context.Context { return s.ctx },
		ConnContext:                  withClient,
		ErrorLog:                     log,
		// No TLSNextProto and no h2c: clients of a forward proxy speak HTTP/1.
	}
}

// newForwarder makes the forward proxy: httputil's, told to change nothing
// that it need not.
func (s *Server) newForwarder() *httputil.ReverseProxy {
	log, _ := zap.NewStdLogAt(s.Log.Named("http"), zap.DebugLevel)
	return &httputil.ReverseProxy{
		Rewrite:   passRequest,
		Transport: shapedTransport{},
		// Each piece is written as it comes: events and long polls are streams. So
		// does ReverseProxy if their length is not known, and otherwise promptBody.
		BufferPool: &buffers{},
		ModifyResponse: func(resp *http.Response) error {
			fw := forwardedBy(resp.Request)
			fw.flow.Status = resp.StatusCode
			switch {
			case resp.StatusCode == http.StatusSwitchingProtocols:
				return s.upgrade(fw, resp)
			case resp.StatusCode < 100: // which the HTTP server panics at
				return errors.New("malformed HTTP status " + resp.Status)
			}
			// An absent header is not to be filled in on the way.
			header := fw.w.Header()
			header["Date"], header["Content-Type"] = nil, nil
			if resp.StatusCode == http.StatusNotModified {
				respell(header, resp.Header, "Content-Type", "Content-Length")
			}
			fw.closeIfUploading()
			if resp.ContentLength > 0 {
				fw.client.left = resp.ContentLength
				resp.Body = &promptBody{ReadCloser: resp.Body, client: fw.w}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			fw := forwardedBy(r)
			if fw.upgraded {
				return
			}
			if fw.cut() != nil {
				panic(http.ErrAbortHandler) // instead of an answer
			}
			fw.flow.Err = err
			if r.Context().Err() != nil || fw.up.err() != nil {
				fw.flow.Err = context.Canceled // it broke at the client's side
			}
			fw.closeIfUploading()
			s.refuse(w, r, fw.flow.Host, err)
		},
		ErrorLog: log,
	}
}

// buffers are what bodies are copied through, which would otherwise be most of
// the garbage.
type buffers struct{ sync.Pool }

// Get is that of httputil.BufferPool.
func (p *buffers) Get() []byte {
	if b, ok := p.Pool.Get().(*[forwardSize]byte); ok {
		return b[:]
	}
	return make([]byte, forwardSize)
}

// Put is that of httputil.BufferPool.
func (p *buffers) Put(b []byte) { p.Pool.Put((*[forwardSize]byte)(b)) }

// forwardSize is the most of a body that goes on at once.
const forwardSize = 32 << 10

// passRequest undoes what ReverseProxy does to requests so that a server
// behind it could trust them: a forward proxy has no business with it.
func passRequest(pr *httputil.ProxyRequest) {
	pr.Out.URL.Opaque = writtenPath(pr.In)
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.Out.Trailer = pr.In.Trailer // which gets its values when the body has ended
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := pr.In.Header[name]; ok {
			pr.Out.Header[name] = values
		}
	}
}

// writtenPath is the path of a request as the client spelled it, for
// [url.URL.Opaque]; empty where the parsed one will do.
func writtenPath(r *http.Request) string {
	target := r.RequestURI
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		target = ""
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			target = rest[i:]
		}
	}
	if target == "" && r.Method == http.MethodOptions {
		return "*" // RFC 9112, 3.2.4
	}
	path, _, _ := strings.Cut(target, "?")
	if strings.HasPrefix(path, "//") {
		return "" // Opaque would take it for an authority
	}
	return path
}

// respell moves headers to where they are written in small letters. The HTTP
// server takes some out of a 304, but knows them by their usual spelling only.
func respell(to, from http.Header, names ...string) {
	for _, name := range names {
		if values, ok := from[name]; ok {
			delete(from, name)
			to[strings.ToLower(name)] = values
		}
	}
}

// newTransport makes the client half for one client: connections are reused,
// and responses come as they were sent.
func (s *Server) newTransport() *http.Transport {
	return &http.Transport{
		Proxy: nil, // our own environment says nothing about the client's wishes
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return ctx.Value(forwardedKey{}).(*forwarded).dial(s, address)
		},
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			fw := ctx.Value(forwardedKey{}).(*forwarded)
			c, err := fw.dial(s, address)
			if err != nil {
				return nil, err
			}
			return secureOver(fw.ctx, c, security{mapping.DirectTLS, s.TLS, host, []string{"http/1.1"}})
		},
		DisableCompression: true,
		// HTTP/2 would change what both ends see of each other.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConns: 64,
		// As long as curl waits before it sends a body unasked.
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       readSize,
		ReadBufferSize:        readSize,
	}
}

// forwarded is one request on its way through the forward proxy.
type forwarded struct {
	ctx       context.Context // the request's
	cancel    func()
	flow      *Flow
	w         http.ResponseWriter
	client    *passing // is w for ReverseProxy
	upstreams http.RoundTripper

	up, down body
	upgraded bool   // the flow has become a tunnel
	lives    func() // ends the wait for the time at which a fault resets the flow

	dialling sync.RWMutex // held for reading by who dials
	over     bool         // and nobody may dial any more

	mu   sync.Mutex
	conn net.Conn // to the upstream, once there is one
	how  error    // a fault ended the request
}

type forwardedKey struct{}

// dial connects to an upstream. A Transport may ask for that, and would go on
// with it, when the request is over.
func (fw *forwarded) dial(s *Server, address string) (*net.TCPConn, error) {
	fw.dialling.RLock()
	defer fw.dialling.RUnlock()
	if fw.over {
		return nil, fw.ctx.Err()
	}
	return s.reach(fw.ctx, fw.flow, faults.Accepted, address, Socket{})
}

// undialled ends the dialling, after which nothing of the flow is touched.
func (fw *forwarded) undialled() {
	fw.cancel()
	fw.dialling.Lock()
	defer fw.dialling.Unlock()
	fw.over = true
}

func forwardedBy(r *http.Request) *forwarded { return r.Context().Value(forwardedKey{}).(*forwarded) }

// closeIfUploading lets the response be the last on its connection if the
// request's body is still on its way. Otherwise the HTTP server would take the
// rest of the body, for itself, before it writes the response.
func (fw *forwarded) closeIfUploading() {
	if fw.up.src != nil && !fw.up.over.Load() {
		fw.w.Header().Set("Connection", "close")
	}
}

// destination says where a request goes, and directs it there. A request in
// origin form is for the host that it names, but for a client of a mapping,
// whose requests are for the target.
func (s *Server) destination(r *http.Request) (host string, to Target, err error) {
	if m := clientOf(r).mapping; m != nil {
		if r.Method == http.MethodConnect || r.ProtoMajor != 1 {
			return "", to, fmt.Errorf("this is not a proxy but a mapping to %s, for requests of HTTP/1", m.Target())
		}
		to = Target{Host: m.Host, Port: m.Port, TLS: m.TLS != mapping.NoTLS}
		direct(r, to)
		r.Host = withoutDefaultPort(r.URL)
		return to.String(), to, nil
	}
	if !r.URL.IsAbs() {
		r.URL.Scheme, r.URL.Host = "http", r.Host
	}
	defaultPort := defaultPorts[r.URL.Scheme]
	to.TLS = r.URL.Scheme == "https"
	to.Host, to.Port, err = splitHostPort(r.URL.Host, defaultPort)
	if defaultPort == "" || err != nil {
		return "", to, errors.New("this is a proxy for http and https; ask it for an absolute URL, as `curl -x` does")
	}
	host = to.String()
	if s.Upstream != nil {
		to = *s.Upstream
		direct(r, to) // and still for the host that the client named
	}
	return host, to, nil
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// direct sends a request to a target.
func direct(r *http.Request, to Target) {
	r.URL.Scheme = "http"
	if to.TLS {
		r.URL.Scheme = "https"
	}
	r.URL.Host = to.String()
}

// withoutDefaultPort is the host of a URL as a client writes it.
func withoutDefaultPort(u *url.URL) string {
	if u.Port() == defaultPorts[u.Scheme] {
		return strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.Host
}

// forward carries one request for the forward proxy, or for a mapping.
func (s *Server) forward(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	host, to, err := s.destination(r)
	if err != nil {
		http.Error(w, "fault: "+err.Error(), http.StatusBadRequest)
		return
	}
	if r.Trailer == nil {
		r.Trailer = make(http.Header) // for those that are not announced
	}
	client := clientOf(r)
	f := s.open(&Flow{Entry: client.entry(EntryHTTP), Client: addrPort(client.RemoteAddr()), Host: host})
	ctx, cancel := context.WithCancel(r.Context())
	fw := &forwarded{ctx: ctx, cancel: cancel, flow: f, w: w, upstreams: client.upstreams}
	fw.lives = func() {}
	answered := false
	// A response that breaks off is told to the client by a panic.
	defer func() {
		broke := fw.down.err()
		fw.lives()
		how := s.finishCut(fw, client.TCPConn, answered)
		fw.undialled()
		if !answered && f.Err == nil && how == nil {
			f.Err = cmp.Or(broke, context.Canceled) // if not the upstream it was the client
		}
		if Failure(broke) == "reset" || s.ctx.Err() != nil || errors.Is(f.Err, ErrEnded) {
			reset(client.TCPConn)
		}
		fw.up.leave()
		fw.down.leave()
		if !fw.upgraded {
			f.Bytes = [2]int64{faults.ToServer: fw.up.bytes.Load(), faults.ToClient: fw.down.bytes.Load()}
		}
		s.end(f)
	}()
	f.Matched = s.matches(to.Host, to.Port, s.addresses(ctx, to.Host))
	fw.up.shaping, fw.down.shaping = s.shapes(f)
	fw.up.stop, fw.down.stop = ctx.Done(), ctx.Done()
	fw.up.ended, fw.down.ended = fw.end, fw.end
	fw.lives = s.expire(fw, client.TCPConn)
	fw.up.drained = func(end error) {
		if end != io.EOF { // otherwise the HTTP server notices when the client leaves
			cancel()
		}
	}
	if answers := s.answers(f); answers != nil {
		response, effects := answers.Decide(s.Clock.Now())
		fw.up.decided(effects)
		if response != nil {
			if f.Err = fw.answer(response, r); f.Err != nil {
				panic(http.ErrAbortHandler) // or else there would be an answer
			}
			answered = true
			return
		}
	}
	fw.client = &passing{ResponseWriter: w, request: r}
	proxy.ServeHTTP(fw.client, r.WithContext(context.WithValue(ctx, forwardedKey{}, fw)))
	answered = true
}

// passing is where ReverseProxy writes a response to.
type passing struct {
	http.ResponseWriter
	request *http.Request
	left    int64 // of a body whose length is known
}

// WriteHeader leaves it to the HTTP server to say `100 Continue` to a client
// that waits for it: that says so when the body is first asked for, and so when
// the upstream has. ReverseProxy would pass that on, too, and the client could
// get both.
func (w *passing) WriteHeader(status int) {
	if status != http.StatusContinue || w.request.Header.Get("Expect") == "" {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write sends each piece on as it comes, but for the last, which goes with the
// end of the response.
func (w *passing) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if w.left -= int64(n); err == nil && w.left > 0 {
		err = http.NewResponseController(w.ResponseWriter).Flush()
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *passing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// upgrade passes on 101 Switching Protocols, and the connections behind it as
// a tunnel, in which the request's faults go on. Its error is for ReverseProxy,
// whose own copying would lose resets and what the client sent early.
func (s *Server) upgrade(fw *forwarded, resp *http.Response) error {
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || fw.up.src != nil && !fw.up.over.Load() {
		return errors.New("the server switched protocols out of turn")
	}
	client, early, err := hijack(fw.w)
	if err != nil {
		return err
	}
	fw.upgraded = true
	fw.lives()
	upstream := fw.upstream()
	head := *resp
	head.Body = nil
	if err := head.Write(client); err != nil {
		reset(client)
		reset(upstream)
		fw.flow.Err = err
		return err
	}
	toServer, toClient := fw.up.shaping, fw.down.shaping
	toServer.src, toClient.src = withEarly(early, client), body // which has what was read with the head
	fw.flow.Err = s.join(fw.flow, client, upstream, toServer, toClient)
	return errUpgraded
}

// errUpgraded ends a request whose connections became a tunnel.
var errUpgraded = errors.New("switched protocols")
