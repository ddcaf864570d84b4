package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// web is a server and a client of it.
type web struct {
	server  *httptest.Server
	client  *http.Client
	accepts *atomic.Int64 // connections that the server got
	proxy   *running      // nil if there is none between
}

// webWays are how a web client can reach its server. All must look alike to
// both; the first one says what that is.
var webWays = []struct {
	name    string
	through bool
	plan    *faults.Plan
}{
	{"direct", false, nil},
	{"null", true, nil},
	{"latency once", true, delayed(short, false, 1)},
	{"latency per piece", true, delayed(short, true, 1)},
}

func inEachWebWay(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, w web)) {
	t.Helper()
	for _, way := range webWays {
		t.Run(way.name, func(t *testing.T) {
			noLeaks(t)
			w := serveWeb(t, handler)
			if way.through {
				w.proxy = run(t, &Server{Plan: way.plan})
				via := &url.URL{Scheme: "http", Host: w.proxy.addr}
				w.client.Transport.(*http.Transport).Proxy = http.ProxyURL(via)
			}
			test(t, w)
		})
	}
}

func serveWeb(t *testing.T, handler http.HandlerFunc) web {
	t.Helper()
	w := web{server: httptest.NewUnstartedServer(handler), accepts: new(atomic.Int64)}
	w.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.accepts.Add(1)
		}
	}
	w.server.Start()
	transport := &http.Transport{ExpectContinueTimeout: patience}
	w.client = &http.Client{Transport: transport, Timeout: patience}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		w.server.CloseClientConnections()
		w.server.Close()
	})
	return w
}

func get(t *testing.T, w web) *http.Response {
	t.Helper()
	return do(t, w, request(t, http.MethodGet, w.server.URL, nil))
}

func do(t *testing.T, w web, r *http.Request) *http.Response {
	t.Helper()
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUploadIsStreamed(t *testing.T) {
	for name, length := range map[string]int64{"chunked": -1, "with a length": 10} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan string, 2)
			inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
				half := make([]byte, 5)
				for range 2 {
					_, err := io.ReadFull(r.Body, half)
					arrived <- string(half)
					if err != nil {
						return
					}
				}
				_, _ = io.Copy(w, r.Body)
			}, func(t *testing.T, w web) {
				body, upload := io.Pipe()
				r := request(t, http.MethodPost, w.server.URL, body)
				r.ContentLength = length
				done := make(chan error, 1)
				go func() {
					resp, err := w.client.Do(r)
					if err == nil {
						resp.Body.Close()
					}
					done <- err
				}()
				// The client goes on only once the server has what came before.
				for _, half := range []string{"hello", "world"} {
					send(t, upload, half)
					if got := next(t, arrived); got != half {
						t.Fatalf("the server got %q", got)
					}
				}
				upload.Close()
				if err := next(t, done); err != nil {
					t.Error(err)
				}
				endedRequest(t, w, nil, 10, 0)
			})
		})
	}
}

// endedRequest checks what the proxy saw of a request.
func endedRequest(t *testing.T, w web, want error, toServer, toClient int64) {
	t.Helper()
	if w.proxy == nil {
		return
	}
	f := next(t, w.proxy.ended)
	if !errors.Is(f.Err, want) || f.Entry != EntryHTTP || f.Bytes != [2]int64{toServer, toClient} ||
		f.Upstream != loopback(w.server.Listener) || f.Host != f.Upstream.String() || !f.Matched {
		t.Errorf("the request ended as %+v", f)
	}
}

func TestEventsArriveOneByOne(t *testing.T) {
	for _, header := range []string{"text/event-stream", "application/octet-stream"} {
		t.Run(header, func(t *testing.T) {
			seen := make(chan struct{})
			inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", header)
				for range 5 {
					_, _ = io.WriteString(w, "data: x\n\n")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-seen:
					case <-r.Context().Done():
						return
					}
				}
			}, func(t *testing.T, w web) {
				resp := get(t, w)
				for range 5 {
					expect(t, resp.Body, "data: x\n\n")
					seen <- struct{}{}
				}
				expectEnd(t, resp.Body, "")
				endedRequest(t, w, nil, 0, 45)
			})
		})
	}
}

// The head of a response may come long before anything else does.
func TestHeadArrivesBeforeTheBody(t *testing.T) {
	goOn := make(chan struct{})
	inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
	}, func(t *testing.T, w web) {
		resp := get(t, w)
		goOn <- struct{}{}
		expectEnd(t, resp.Body, "")
	})
}

// Some protocols on HTTP talk in both directions at once.
func TestRequestAndResponseAtOnce(t *testing.T) {
	inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		_ = c.Flush()
		line := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, line); err != nil {
				return
			}
			_, _ = w.Write(line)
			_ = c.Flush()
		}
	}, func(t *testing.T, w web) {
		body, upload := io.Pipe()
		resp := do(t, w, request(t, http.MethodPost, w.server.URL, body))
		for range 10 {
			send(t, upload, "ping\n")
			expect(t, resp.Body, "ping\n")
		}
		upload.Close()
		expectEnd(t, resp.Body, "")
		endedRequest(t, w, nil, 50, 50)
	})
}

// A server may answer before it has read the request.
func TestAnswerBeforeTheUploadIsOver(t *testing.T) {
	inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
		_ = c.Flush()
	}, func(t *testing.T, w web) {
		body, upload := io.Pipe()
		defer upload.Close()
		resp := do(t, w, request(t, http.MethodPost, w.server.URL, body))
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Error(resp.Status)
		}
		expectEnd(t, resp.Body, "too large")
	})
}

func TestExpectContinue(t *testing.T) {
	inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}, func(t *testing.T, w web) {
		for path, accepted := range map[string]bool{"/": true, "/refused": false} {
			var asked atomic.Int64
			r := request(t, http.MethodPost, w.server.URL+path, strings.NewReader("body"))
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { asked.Add(1) }}))
			r.Header.Set("Expect", "100-continue")
			resp := do(t, w, r)
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if accepted && (asked.Load() != 1 || string(got) != "body") {
				t.Errorf("%v, asked for the body %d times, which came back as %q", resp.Status, asked.Load(), got)
			}
			if !accepted && (asked.Load() != 0 || resp.StatusCode != http.StatusUnauthorized) {
				t.Errorf("%v, asked for the body %d times", resp.Status, asked.Load())
			}
		}
	})
}

func TestRequestIsCancelled(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			began, gone := make(chan struct{}, 1), make(chan struct{}, 1)
			inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
				began <- struct{}{}
				if r.Method == http.MethodPost {
					_, _ = io.Copy(io.Discard, r.Body)
				} else {
					<-r.Context().Done()
				}
				gone <- struct{}{}
			}, func(t *testing.T, w web) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var body io.Reader
				if method == http.MethodPost {
					unfinished, upload := io.Pipe()
					context.AfterFunc(ctx, func() { upload.CloseWithError(context.Canceled) })
					body = unfinished
				}
				r, err := http.NewRequestWithContext(ctx, method, w.server.URL, body)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := w.client.Do(r)
					done <- err
				}()
				next(t, began)
				cancel()
				if err := next(t, done); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				next(t, gone)
				endedRequest(t, w, context.Canceled, 0, 0)
			})
		})
	}
}

// Who leaves in the midst of a response is told to the server, too.
func TestClientLeavesDuringTheResponse(t *testing.T) {
	gone := make(chan struct{}, 1)
	inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<16)
		for {
			if _, err := w.Write(block); err != nil {
				gone <- struct{}{}
				return
			}
		}
	}, func(t *testing.T, w web) {
		resp := get(t, w)
		expect(t, resp.Body, "\x00")
		resp.Body.Close()
		next(t, gone)
		if w.proxy != nil {
			if f := next(t, w.proxy.ended); Failure(f.Err) != "client-gone" && Failure(f.Err) != "reset" {
				t.Errorf("%v (%s)", f.Err, Failure(f.Err))
			}
		}
	})
}

// A response that breaks off must not look like one that ended.
func TestResponseIsCutOff(t *testing.T) {
	for _, end := range []string{"end", "reset"} {
		for framing, head := range map[string]string{
			"length": "Content-Length: 100\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\n4\r\n",
		} {
			t.Run(framing+", "+end, func(t *testing.T) {
				heard := make(chan struct{})
				inEachWebWay(t, func(w http.ResponseWriter, _ *http.Request) {
					c, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head+"part")
					select {
					case <-heard:
					case <-time.After(patience):
					}
					if end == "reset" {
						reset(c.(*net.TCPConn))
					} else {
						c.Close()
					}
				}, func(t *testing.T, w web) {
					want, failure := io.ErrUnexpectedEOF, "other"
					if end == "reset" {
						want, failure = syscall.ECONNRESET, "reset"
					}
					resp := get(t, w)
					expect(t, resp.Body, "part")
					heard <- struct{}{}
					if _, err := io.ReadAll(resp.Body); !errors.Is(err, want) {
						t.Errorf("the response ended with %v, want %v", err, want)
					}
					if w.proxy != nil {
						if f := next(t, w.proxy.ended); Failure(f.Err) != failure {
							t.Errorf("%v (%s)", f.Err, Failure(f.Err))
						}
					}
				})
			})
		}
	}
}

// A client's requests share a connection to a server as they do without us,
// and nobody else's; the connection ends with the client's.
func TestConnectionsAreTheClients(t *testing.T) {
	inEachWebWay(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	}, func(t *testing.T, w web) {
		var peers []string
		for range 2 {
			for range 5 {
				peer, err := io.ReadAll(get(t, w).Body)
				if err != nil {
					t.Fatal(err)
				}
				peers = append(peers, string(peer))
			}
			w.client.CloseIdleConnections()
		}
		if w.accepts.Load() != 2 || peers[0] != peers[4] || peers[4] == peers[5] || peers[5] != peers[9] {
			t.Errorf("%d connections: %v", w.accepts.Load(), peers)
		}
	})
}

func TestConnectionEndsWithTheClients(t *testing.T) {
	noLeaks(t)
	ln, p := listen(t), run(t, &Server{})
	c := dial(t, p.addr)
	send(t, c, "GET http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
	upstream := accept(t, ln)
	readHead(t, upstream)
	send(t, upstream, ok)
	expect(t, bufio.NewReader(c), "HTTP/1.1 200 OK\r\n")
	c.Close()
	expectEnd(t, upstream, "")
}

// Of a request, the head and what comes behind it are the pieces: once means
// once for each request, on however many connections.
func TestLatencyOncePerRequest(t *testing.T) {
	noLeaks(t)
	w := serveWeb(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	w.proxy = run(t, &Server{Plan: delayed(constant(2*ms), false, 1)})
	w.client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy.addr})
	const requests = 10
	for i := range requests {
		resp := do(t, w, request(t, http.MethodPost, w.server.URL, strings.NewReader("four")))
		expectEnd(t, resp.Body, "four")
		f := next(t, w.proxy.ended)
		for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
			in := injectedInto(t, f, link)
			if f.ID != uint64(i+1) || f.Bytes[link] != 4 || in.Pieces != 1 || in.Sum < 2*ms {
				t.Errorf("request %d: %+v", i, f)
			}
		}
	}
	if w.accepts.Load() != 1 {
		t.Errorf("%d connections", w.accepts.Load())
	}
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		delays := w.proxy.injected(link)
		if len(delays) != requests || delays[0].Delay != 2*ms {
			t.Errorf("told of %v on %v", delays, link)
		}
	}
}

func TestUnmatchedRequestPassesThrough(t *testing.T) {
	noLeaks(t)
	w := serveWeb(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") })
	w.proxy = run(t, &Server{Plan: delayed(constant(faults.Never/2), true, 1), Matches: matchNothing})
	w.client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy.addr})
	expectEnd(t, get(t, w).Body, "hi")
	if f := next(t, w.proxy.ended); f.Matched || f.Bytes != [2]int64{0, 2} || f.Injected != nil {
		t.Errorf("%+v", f)
	}
}
