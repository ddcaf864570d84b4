package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/faults"
)

// A client may send before it has heard that there is a tunnel, also more than
// the HTTP server reads at once.
func TestBytesBehindCONNECT(t *testing.T) {
	for name, plan := range map[string]*faults.Plan{
		"null": nil, "once": delayed(short, false, 1), "per piece": delayed(short, true, 1),
	} {
		for _, size := range []int{1, 100, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				noLeaks(t)
				ln, p := listen(t), run(t, &Server{Plan: plan})
				early := strings.Repeat("early bird ", size/11+1)[:size]
				c := dial(t, p.addr)
				go func() {
					_, _ = io.WriteString(c, "CONNECT "+ln.Addr().String()+" HTTP/1.1\r\nHost: x\r\n\r\n"+early)
				}()
				server := accept(t, ln)
				expect(t, server, early)
				if head := readHead(t, c); head != "HTTP/1.1 200 Connection established\r\n\r\n" {
					t.Errorf("%q", head)
				}
				send(t, server, "late")
				server.Close()
				expectEnd(t, c, "late")
				c.Close()
				if f := next(t, p.ended); f.Err != nil || f.Entry != EntryConnect || f.Bytes != [2]int64{int64(size), 4} ||
					f.Host != ln.Addr().String() || f.Upstream != loopback(ln) || f.Client != addrPort(c.LocalAddr()) {
					t.Errorf("%+v", f)
				}
			})
		}
	}
}

// That there is a tunnel is said when there is one.
func TestCONNECTAnswersOnceConnected(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	connecting, goOn := make(chan struct{}), make(chan struct{})
	p := run(t, &Server{Exempt: func(string, string, syscall.RawConn) error {
		close(connecting)
		<-goOn
		return nil
	}})
	c := dial(t, p.addr)
	send(t, c, "CONNECT "+ln.Addr().String()+" HTTP/1.1\r\n\r\n")
	next(t, connecting)
	heard := make(chan string, 1)
	go func() { heard <- readHead(t, c) }()
	select {
	case head := <-heard:
		t.Errorf("answered %q before it connected", head)
	default:
	}
	close(goOn)
	accept(t, ln)
	if head := next(t, heard); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Errorf("%q", head)
	}
}

// A connection that has carried requests may become a tunnel.
func TestCONNECTBehindARequest(t *testing.T) {
	noLeaks(t)
	ln, p := listen(t), run(t, &Server{})
	c := dial(t, p.addr)
	send(t, c, "GET http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
	upstream := accept(t, ln)
	readHead(t, upstream)
	send(t, upstream, ok)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	expectEnd(t, resp.Body, "hi")
	send(t, c, "CONNECT "+ln.Addr().String()+" HTTP/1.1\r\nHost: x\r\n\r\n")
	server := accept(t, ln)
	expectEnd(t, upstream, "") // no request will come any more
	readHead(t, r)
	send(t, server, "hello")
	expect(t, r, "hello")
}

func TestCONNECTMatches(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, matches := range []bool{false, true} {
		var asked []string
		p := run(t, &Server{Plan: delayed(constant(ms), false, 1), Matches: func(host string, _ uint16, addrs func() []netip.Addr) bool {
			asked = append(asked, host)
			for _, a := range addrs() {
				asked = append(asked, a.String())
			}
			return matches
		}})
		c := tunnelled(t, p.addr, "localhost:"+port)
		server := accept(t, ln)
		send(t, c, "x")
		expect(t, server, "x")
		c.Close()
		server.Close()
		f := next(t, p.ended)
		if f.Matched != matches || (injectedInto(t, f, faults.ToServer).Pieces > 0) != matches || f.Host != "localhost:"+port {
			t.Errorf("matches %v: %+v", matches, f)
		}
		if strings.Join(asked, " ") != "localhost 127.0.0.1" {
			t.Errorf("asked about %q", asked)
		}
	}
}
