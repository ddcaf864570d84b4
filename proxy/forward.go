package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strconv"
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
			s.begin()
			defer s.done()
			if r.Method == http.MethodConnect {
				s.connect(w, r)
			} else {
				s.forward(forward, w, r)
			}
		}),
		ReadHeaderTimeout:            headerTimeout,
		DisableGeneralOptionsHandler: true, // `OPTIONS *` is for the upstream
		ErrorLog:                     log,
		// No TLSNextProto and no h2c: clients of a forward proxy speak HTTP/1.
	}
}

// newForwarder makes the forward proxy: httputil's, told to change nothing
// that it need not.
func (s *Server) newForwarder() *httputil.ReverseProxy {
	log, _ := zap.NewStdLogAt(s.Log.Named("http"), zap.DebugLevel)
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			// What ReverseProxy took out, so that a server behind it could
			// trust the rest, a forward proxy has no business with.
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := pr.In.Header[name]; ok {
					pr.Out.Header[name] = values
				}
			}
			pr.Out.Host = pr.In.Host
		},
		Transport: &shapedTransport{s.newTransport()},
		// Write each piece as it comes: events and long polls are streams.
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			// An absent header is not to be filled in on the way.
			header := resp.Request.Context().Value(forwardedKey{}).(*forwarded).header
			header["Date"], header["Content-Type"] = nil, nil
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			fw := r.Context().Value(forwardedKey{}).(*forwarded)
			fw.flow.Err = err
			refuse(w, fw.flow.Host, err)
		},
		ErrorLog: log,
	}
}

// newTransport makes the client half: connections are reused, and responses
// come as they were sent.
func (s *Server) newTransport() *http.Transport {
	return &http.Transport{
		Proxy: nil, // our own environment says nothing about the client's wishes
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return s.dial(ctx, address, netip.Addr{})
		},
		DisableCompression: true,
		// HTTP/2 would change what both ends see of each other.
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		// As long as curl waits before it sends a body unasked.
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       readSize,
		ReadBufferSize:        readSize,
	}
}

// forwarded is one request on its way through the forward proxy.
type forwarded struct {
	flow   *Flow
	header http.Header // of the response to the client

	up, down body
}

type forwardedKey struct{}

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
	f := s.open(&Flow{Entry: EntryHTTP, Client: clientOf(r), Host: net.JoinHostPort(host, strconv.Itoa(int(port)))})
	f.Matched = s.matches(host, port, func() []netip.Addr {
		addrs, _ := s.resolver().LookupNetIP(r.Context(), "ip", host)
		return addrs
	})
	ctx, cancel := context.WithCancel(r.Context())
	defer context.AfterFunc(s.ctx, cancel)()
	fw := &forwarded{flow: f, header: w.Header()}
	fw.up.shaping = s.shape(f, faults.ToServer, r.Body, ctx.Done())
	fw.down.shaping = s.shape(f, faults.ToClient, nil, ctx.Done())
	// A response that breaks off is told to the client by a panic.
	defer func() {
		cancel()
		f.Bytes[faults.ToServer], f.Injected[faults.ToServer] = fw.up.told()
		f.Bytes[faults.ToClient], f.Injected[faults.ToClient] = fw.down.told()
		s.end(f)
	}()
	proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, forwardedKey{}, fw)))
}
