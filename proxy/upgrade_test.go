package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/faultproxy/fault/faults"
)

const switched = "HTTP/1.1 101 Go Ahead\r\nConnection: Upgrade\r\nUpgrade: chat\r\nX-A: 1\r\nX-A: 2\r\n\r\n"

// upgraded is a request that became a stream in both directions, as its two
// ends have it. early is what the client sends with the request, and the
// server with its answer.
func upgraded(t *testing.T, plan *faults.Plan, through bool, early string) flow {
	t.Helper()
	ln := listen(t)
	f, target := flow{}, ""
	addr := ln.Addr().String()
	if through {
		f.proxy = run(t, &Server{Plan: plan})
		target = "http://" + addr
		addr = f.proxy.addr
	}
	f.client = dial(t, addr)
	send(t, f.client, "GET "+target+"/chat HTTP/1.1\r\nHost: "+ln.Addr().String()+"\r\nConnection: Upgrade\r\nUpgrade: chat\r\nX-Key: 1\r\n\r\n"+early)
	f.server = accept(t, ln)
	head := readHead(t, f.server)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	if r.RequestURI != "/chat" || len(r.Header) != 3 || r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Upgrade") != "chat" {
		t.Errorf("the server heard %q", head)
	}
	send(t, f.server, switched+early)
	expect(t, f.server, early)
	head = readHead(t, f.client)
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(head, "HTTP/1.1 101 Go Ahead\r\n") || len(resp.Header) != 3 || len(resp.Header["X-A"]) != 2 {
		t.Errorf("the client heard %q", head)
	}
	expect(t, f.client, early)
	return f
}

// inEachUpgrade runs a test with a stream behind an HTTP request, in each of
// the ways.
func inEachUpgrade(t *testing.T, early string, test func(t *testing.T, f flow)) {
	for _, way := range webWays {
		t.Run(way.name, func(t *testing.T) {
			noLeaks(t)
			test(t, upgraded(t, way.plan, way.through, early))
		})
	}
}

func TestUpgrade(t *testing.T) {
	for _, early := range []string{"", "early", strings.Repeat("early bird ", 1000)} {
		n := int64(len(early))
		inEachUpgrade(t, early, func(t *testing.T, f flow) {
			for range 3 {
				send(t, f.client, "ping")
				expect(t, f.server, "ping")
				send(t, f.server, "pong!")
				expect(t, f.client, "pong!")
			}
			send(t, f.client, "last")
			closeWrite(t, f.client)
			expectEnd(t, f.server, "last")
			send(t, f.server, "answer")
			f.server.Close()
			expectEnd(t, f.client, "answer")
			ended(t, f, n+16, n+21)
		})
	}
}

func TestUpgradeHalfCloseByServer(t *testing.T) {
	inEachUpgrade(t, "", func(t *testing.T, f flow) {
		send(t, f.server, "greeting")
		closeWrite(t, f.server)
		expectEnd(t, f.client, "greeting")
		send(t, f.client, "reply")
		f.client.Close()
		expectEnd(t, f.server, "reply")
		ended(t, f, 5, 8)
	})
}

func TestUpgradeReset(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			inEachUpgrade(t, "", func(t *testing.T, f flow) {
				one, other := sides(f)[who][0], sides(f)[who][1]
				reset(one)
				expectReset(t, other)
				endedWith(t, f, "reset")
			})
		})
	}
}

// The faults of a request go on where it becomes a stream: once is over with
// the heads, and each piece is still each piece.
func TestUpgradeIsShapedOn(t *testing.T) {
	for _, perReadWrite := range []bool{false, true} {
		noLeaks(t)
		f := upgraded(t, delayed(constant(ms), perReadWrite, 1), true, "")
		send(t, f.client, "ping")
		expect(t, f.server, "ping")
		send(t, f.server, "pong")
		expect(t, f.client, "pong")
		f.client.Close()
		f.server.Close()
		got, want := next(t, f.proxy.ended), 1 // the head
		if perReadWrite {
			want = 3 // and a piece, and the end
		}
		for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
			if injectedInto(t, got, link).Pieces != want || len(f.proxy.injected(link)) != want {
				t.Errorf("%v %s: %+v, told of %v", link, map[bool]string{true: "per piece", false: "once"}[perReadWrite], got.Injected, f.proxy.injected(link))
			}
		}
	}
}

func TestUpgradeRefused(t *testing.T) {
	noLeaks(t)
	ln, p := listen(t), run(t, &Server{})
	served := make(chan heard, 1)
	go func() { served <- answerOnce(t, ln, ok) }()
	got, text := status(t, p.addr, "GET http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	if got != http.StatusOK || text != "hi" {
		t.Errorf("%d %q", got, text)
	}
	next(t, served)
}

// A server that switches protocols on its own is refused.
func TestUpgradeOutOfTurn(t *testing.T) {
	for name, exchange := range map[string][2]string{
		"to nothing":        {"GET http://$/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
		"during the upload": {"POST http://$/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\nContent-Length: 9\r\n\r\nhalf", switched},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{})
			go func() {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, exchange[1])
				_, _ = io.Copy(io.Discard, c)
			}()
			got, text := status(t, p.addr, strings.Replace(exchange[0], "$", ln.Addr().String(), 1))
			if got != http.StatusBadGateway {
				t.Errorf("%d %q", got, text)
			}
		})
	}
}

// A tunnel behind a request ends with the run as any other.
func TestUpgradeIsCutOff(t *testing.T) {
	noLeaks(t)
	f := upgraded(t, nil, true, "")
	f.proxy.stop()
	f.proxy.Drain(expired)
	for _, c := range []*net.TCPConn{f.client, f.server} {
		expectReset(t, c)
	}
	if got := next(t, f.proxy.ended); got.Err != ErrEnded {
		t.Errorf("%+v", got)
	}
}

// Behind an https URL the upstream's half of the tunnel is TLS.
func TestTunnelToTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS()
	certificates := web.TLS.Certificates
	web.Close()
	for _, end := range []string{"end", "reset"} {
		t.Run(end, func(t *testing.T) {
			noLeaks(t)
			near, far := listen(t), listen(t)
			client := dial(t, near.Addr().String())
			inner := accept(t, near)
			upstream := tls.Client(dial(t, far.Addr().String()), &tls.Config{InsecureSkipVerify: true})
			outer := accept(t, far)
			server := tls.Server(outer, &tls.Config{Certificates: certificates})
			s := &Server{Clock: NewClock(), tunnels: make(map[*tunnel]struct{})}
			carried := make(chan error, 1)
			go func() {
				f := &Flow{did: &tallies{}}
				toServer, toClient := s.shapes(f)
				toServer.src, toClient.src = inner, upstream
				carried <- s.join(f, inner, upstream, toServer, toClient)
			}()
			send(t, client, "ping")
			expect(t, server, "ping")
			send(t, server, "pong")
			expect(t, client, "pong")
			if end == "reset" {
				reset(server)
				expectReset(t, client)
				if err := next(t, carried); Failure(err) != "reset" {
					t.Error(err)
				}
				return
			}
			closeWrite(t, client)
			expectEnd(t, server, "")
			send(t, server, "late")
			server.Close()
			expectEnd(t, client, "late")
			if err := next(t, carried); err != nil {
				t.Error(err)
			}
		})
	}
}
