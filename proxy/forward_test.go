package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// exchanges are what a client may say to a server, and what that may answer,
// as on the wire. $target is the URL up to the path when the client speaks to
// a proxy, and empty when it speaks to the server; $host is the server's.
var exchanges = []struct{ name, request, response string }{
	{"plain", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"escaped path", "GET $target/a%2Fb%20c/%7Eme/%e4 HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"sub-delimiters", "GET $target/a;b=1,2/!$&'()*+:@-._~?x HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"dots and double slashes", "GET $target//a/./b/../c// HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"not quite a path", "GET $target/a{b}|c^`\"<d>\\e/\xc3\xa9#f HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"empty query", "GET $target/a? HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"query with semicolons", "GET $target/a?b;c=d&e=%2F+;&&= HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"query that does not parse", "GET $target/a?b=%zz&%&\"{c}? HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"query with a URL", "GET $target/a?u=http://example.com//b HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"a path like a URL", "GET $target/http://example.com//b HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: $host\r\n\r\n", ok},
	{"unknown method", "BREW $target/pot HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 5\r\n\r\nshort"},
	{"DELETE", "DELETE $target/a HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"},
	{"PUT", "PUT $target/a HTTP/1.1\r\nHost: $host\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 201 Created\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"},
	{"empty POST", "POST $target/a HTTP/1.1\r\nHost: $host\r\nContent-Length: 0\r\n\r\n", ok},
	{"GET with a body", "GET $target/a HTTP/1.1\r\nHost: $host\r\nContent-Length: 3\r\n\r\nabc", ok},
	{"chunked request", "POST $target/a HTTP/1.1\r\nHost: $host\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", ok},
	{"request with trailers", "POST $target/a HTTP/1.1\r\nHost: $host\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n", ok},
	{"trailers unannounced", "POST $target/a HTTP/1.1\r\nHost: $host\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-Sum: 7\r\n\r\n", ok},
	{"duplicate headers", "GET $target/ HTTP/1.1\r\nHost: $host\r\nX-A: 1\r\nCookie: a=1\r\nX-A: 2\r\nCookie: b=2\r\nX-A: 1\r\nX-Empty:\r\n\r\n", ok},
	{"headers that a proxy could own", "GET $target/ HTTP/1.1\r\nHost: $host\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n" +
		"X-Forwarded-Host: a\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.1\r\nVia: 1.1 other\r\nAuthorization: Basic eA==\r\n" +
		"Accept-Encoding: br\r\nUser-Agent: curl/8\r\nReferer: x\r\nRange: bytes=1-\r\nIf-None-Match: \"x\"\r\nCache-Control: no-cache\r\n\r\n", ok},
	{"cookies", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n",
		"HTTP/1.1 200 OK\r\nSet-Cookie: b=1; Path=/\r\nSet-Cookie: a=2\r\nX-A: 1\r\nSet-Cookie: b=3\r\nX-A: 0\r\nContent-Length: 0\r\n\r\n"},
	{"headers that a server would add", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: raw\r\nDate: yesterday\r\nContent-Type: \r\nContent-Length: 6\r\n\r\n<html>"},
	{"compressed", "GET $target/ HTTP/1.1\r\nHost: $host\r\nAccept-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x08\x00\x00"},
	{"compressed unasked", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"},
	{"redirect", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://$host/b\r\nContent-Length: 2\r\n\r\ngo"},
	{"client error", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"},
	{"server error", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno"},
	{"not modified", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nDate: now\r\n\r\n"},
	{"not modified, with what a body would have", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Type: x/y\r\nContent-Length: 7\r\n\r\n"},
	{"no content", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"},
	{"HEAD", "HEAD $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\nContent-Type: x/y\r\n\r\n"},
	{"HEAD without a length", "HEAD $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n"},
	{"chunked response", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"},
	{"response with trailers", "GET $target/ HTTP/1.1\r\nHost: $host\r\nTE: trailers\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-More\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-More: 7\r\n\r\n"},
	{"response trailers unannounced", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n"},
	{"response until the end", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nas it comes"},
	{"early hints", "GET $target/ HTTP/1.1\r\nHost: $host\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n" + ok},
	{"HTTP/1.0", "GET $target/ HTTP/1.0\r\nHost: $host\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
	{"HTTP/1.0 until the end", "GET $target/ HTTP/1.0\r\nHost: $host\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nhi"},
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

// heard is what one end got from the other.
type heard struct {
	What     string // the method and the target, or the status
	Host     string
	Header   http.Header
	Length   int64
	Encoding []string
	Body     string
	Trailer  http.Header
}

// TestForwardingIsInvisible has a client and a server talk without the proxy
// and through it: both must hear the same.
func TestForwardingIsInvisible(t *testing.T) {
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{})
			host := ln.Addr().String()
			talk := func(addr, target string) (request heard, responses []heard) {
				fill := strings.NewReplacer("$target", target, "$host", host)
				served := make(chan heard, 1)
				go func() { served <- answerOnce(t, ln, fill.Replace(e.response)) }()
				responses = ask(t, addr, fill.Replace(e.request))
				return next(t, served), responses
			}
			request, responses := talk(host, "")
			throughRequest, throughResponses := talk(p.addr, "http://"+host)
			if !reflect.DeepEqual(throughRequest, request) {
				t.Errorf("the server heard\n%+v\ninstead of\n%+v", throughRequest, request)
			}
			if !reflect.DeepEqual(throughResponses, responses) {
				t.Errorf("the client heard\n%+v\ninstead of\n%+v", throughResponses, responses)
			}
		})
	}
}

// answerOnce answers one request, and closes the connection.
func answerOnce(t *testing.T, ln *net.TCPListener, response string) heard {
	c, err := ln.Accept()
	if err != nil {
		t.Error(err)
		return heard{}
	}
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		t.Error(err)
		return heard{}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(c, response); err != nil {
		t.Error(err)
	}
	r.Header.Del("Content-Length") // Length says it
	return heard{r.Method + " " + r.RequestURI, r.Host, r.Header, r.ContentLength, r.TransferEncoding, string(body), nonEmpty(r.Trailer)}
}

// nonEmpty makes no difference between no trailers and none that are set.
func nonEmpty(h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	return h
}

// ask sends a request as it is, and reads what comes until the final response.
func ask(t *testing.T, addr, request string) []heard {
	t.Helper()
	c := dial(t, addr)
	send(t, c, request)
	method, _, _ := strings.Cut(request, " ")
	var responses []heard
	for r := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		var body []byte
		final := resp.StatusCode >= 200
		if final {
			if body, err = io.ReadAll(resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		responses = append(responses, heard{What: fmt.Sprint(resp.StatusCode), Header: resp.Header, Body: string(body), Trailer: nonEmpty(resp.Trailer)})
		if final {
			c.Close()
			return responses
		}
	}
}

// A question about the server as a whole has no path, and no form but this on
// its last stretch.
func TestOptionsOfTheServer(t *testing.T) {
	noLeaks(t)
	ln, p := listen(t), run(t, &Server{})
	served := make(chan heard, 1)
	go func() { served <- answerOnce(t, ln, ok) }()
	ask(t, p.addr, "OPTIONS http://"+ln.Addr().String()+" HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := next(t, served); got.What != "OPTIONS *" || got.Host != ln.Addr().String() {
		t.Errorf("the server heard %+v", got)
	}
}
