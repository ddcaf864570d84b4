package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/faults"
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
			if r.Method == http.MethodConnect {
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
		// Write each piece as it comes: events and long polls are streams.
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			fw := forwardedBy(resp.Request)
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
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			fw := forwardedBy(r)
			if fw.upgraded {
				return
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
			// A Transport would go on dialling when the request is over.
			return s.dial(ctx.Value(forwardedKey{}).(*forwarded).ctx, address, netip.Addr{})
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
	flow      *Flow
	w         http.ResponseWriter
	upstreams http.RoundTripper

	conn     net.Conn // to the upstream, once there is one
	up, down body
	upgraded bool // the flow has become a tunnel
}

type forwardedKey struct{}

func forwardedBy(r *http.Request) *forwarded { return r.Context().Value(forwardedKey{}).(*forwarded) }

// closeIfUploading lets the response be the last on its connection if the
// request's body is still on its way. Otherwise the HTTP server would take the
// rest of the body, for itself, before it writes the response.
func (fw *forwarded) closeIfUploading() {
	if fw.up.src != nil && !fw.up.over.Load() {
		fw.w.Header().Set("Connection", "close")
	}
}

// forward carries one request for the forward proxy. A request in origin form
// is for the host that it names.
func (s *Server) forward(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	if !r.URL.IsAbs() {
		r.URL.Scheme, r.URL.Host = "http", r.Host
	}
	defaultPort := map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	host, port, err := splitHostPort(r.URL.Host, defaultPort)
	if defaultPort == "" || err != nil {
		http.Error(w, "fault: this is a proxy for http and https; ask it for an absolute URL, as `curl -x` does", http.StatusBadRequest)
		return
	}
	if r.Trailer == nil {
		r.Trailer = make(http.Header) // for those that are not announced
	}
	client := clientOf(r)
	f := s.open(&Flow{Entry: EntryHTTP, Client: addrPort(client.RemoteAddr()), Host: hostPort(host, port)})
	ctx, cancel := context.WithCancel(r.Context())
	fw := &forwarded{ctx: ctx, flow: f, w: w, upstreams: client.upstreams}
	answered := false
	// A response that breaks off is told to the client by a panic.
	defer func() {
		broke := fw.down.err()
		cancel()
		if !answered && f.Err == nil {
			f.Err = cmp.Or(broke, context.Canceled) // if not the upstream it was the client
		}
		if Failure(broke) == "reset" || s.ctx.Err() != nil {
			reset(client.TCPConn)
		}
		if !fw.upgraded {
			f.Bytes[faults.ToServer], f.Injected[faults.ToServer] = fw.up.told()
			f.Bytes[faults.ToClient], f.Injected[faults.ToClient] = fw.down.told()
		}
		s.end(f)
	}()
	f.Matched = s.matches(host, port, func() []netip.Addr {
		addrs, _ := s.resolver().LookupNetIP(ctx, "ip", host)
		return addrs
	})
	fw.up.shaping, fw.down.shaping = s.shape(f, faults.ToServer), s.shape(f, faults.ToClient)
	fw.up.stop, fw.down.stop = ctx.Done(), ctx.Done()
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, forwardedKey{}, fw)))
	answered = true
}

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
	upstream := fw.conn.(stream)
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
