package proxy

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func random(n int) string {
	b, _ := io.ReadAll(noise(1, int64(n)))
	return string(b)
}

// garbage is what no client should send.
var garbage = map[string]string{
	"nothing":             "",
	"a byte":              "\x00",
	"noise":               random(1 << 20),
	"zeroes":              strings.Repeat("\x00", 1<<20),
	"line ends":           strings.Repeat("\r\n", 1<<16),
	"no line end":         strings.Repeat("A", 1<<20),
	"half a request":      "GET http://127.0.0.1/ HT",
	"half a head":         "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nX-",
	"half a body":         "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
	"a long header":       "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 2<<20) + "\r\n\r\n",
	"many headers":        "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 1<<18) + "\r\n",
	"a long target":       "GET http://127.0.0.1:1/" + strings.Repeat("y", 2<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	"a long authority":    "CONNECT " + strings.Repeat("y", 1<<19) + ":1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"two lengths":         "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
	"a negative length":   "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	"length and chunks":   "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"a huge chunk":        "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	"no chunks":           "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnone",
	"an unknown encoding": "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\n",
	"a bad header":        "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nX Y\x00: \x7f\r\n\r\n",
	"a bad host":          "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: a b\r\n\r\n",
	"an unknown version":  "GET http://127.0.0.1:1/ HTTP/9.9\r\nHost: x\r\n\r\n",
	"an odd upgrade":      "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: \xff\r\n\r\n",
	"an expectation":      "POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\nExpect: much\r\nContent-Length: 1\r\n\r\n",
	"HTTP/2":              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"TLS":                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random(512),
	"SOCKS":               "\x05\x01\x00",
	"SSH":                 "SSH-2.0-OpenSSH_9.9\r\n",
	"pipelined rubbish":   "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\nrubbish" + random(1000),
}

// A flow goes on through whatever others send.
func TestGarbage(t *testing.T) {
	for name, text := range garbage {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{})
			client := tunnelled(t, p.addr, ln.Addr().String())
			server := accept(t, ln)
			for _, leave := range []func(*net.TCPConn) error{(*net.TCPConn).CloseWrite, (*net.TCPConn).Close, func(c *net.TCPConn) error { reset(c); return nil }} {
				c := dial(t, p.addr)
				answered := make(chan error, 1)
				go func() { // lest the proxy has to wait with its answer
					_, err := io.Copy(io.Discard, c)
					answered <- err
				}()
				_, _ = io.WriteString(c, text) // it may close before the end
				send(t, client, "ping")
				expect(t, server, "ping")
				_ = leave(c)
				if err := next(t, answered); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("nothing came of it")
				}
				send(t, server, "pong")
				expect(t, client, "pong")
			}
			client.Close()
			server.Close()
		})
	}
}

// The same from a program that was diverted here: bytes are bytes.
func TestGarbageInTransit(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	p := run(t, &Server{Origin: divertedTo(ln)})
	for _, text := range garbage {
		c := dial(t, p.addr)
		server := accept(t, ln)
		go func() {
			_, _ = io.WriteString(c, text)
			_ = c.CloseWrite()
		}()
		if got, err := io.ReadAll(server); err != nil || string(got) != text {
			t.Errorf("%d bytes of %d, %v", len(got), len(text), err)
		}
		server.Close()
	}
}

// What a server must not answer becomes 502, and nothing worse.
func TestGarbageFromServers(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":          "",
		"noise":            random(1 << 20),
		"SSH":              "SSH-2.0-OpenSSH_9.9\r\n",
		"half a head":      "HTTP/1.1 200 OK\r\nX: ",
		"no status":        "HTTP/1.1\r\n\r\n",
		"a low status":     "HTTP/1.1 099 Low\r\n\r\n",
		"status zero":      "HTTP/1.1 000 Zero\r\n\r\n",
		"a high status":    "HTTP/1.1 1000 High\r\n\r\n",
		"a word of status": "HTTP/1.1 abc Odd\r\n\r\n",
		"a bad header":     "HTTP/1.1 200 OK\r\nX\x00: z\r\n\r\n",
		"a bad length":     "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"a long header":    "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 11<<20) + "\r\n\r\n",
		"endless hints":    strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("y", 1000)+"\r\n\r\n", 11<<10),
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
				_, _ = io.WriteString(c, text)
			}()
			c := dial(t, p.addr)
			send(t, c, "GET http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
			r := bufio.NewReader(c)
			for {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode == http.StatusEarlyHints {
					continue
				}
				if resp.StatusCode != http.StatusBadGateway {
					t.Error(resp.Status)
				}
				break
			}
			if f := next(t, p.ended); f.Err == nil || Failure(f.Err) == "client-gone" {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Many clients that come, and leave in all sorts of ways, leave nothing.
func TestManyClientsComeAndGo(t *testing.T) {
	noLeaks(t)
	w := serveWeb(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	p := run(t, &Server{Plan: delayed(short, true, 1)})
	to := w.server.Listener.Addr().String()
	answered := []string{
		"CONNECT " + to + " HTTP/1.1\r\n\r\n", "CONNECT " + to + " HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://" + to + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	texts := append(answered, "", "GET", "POST http://"+to+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
	var clients sync.WaitGroup
	for i := range 200 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 0))
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Error(err)
				return
			}
			which := rng.IntN(len(texts))
			_, _ = io.WriteString(c, texts[which])
			if which < len(answered) && rng.IntN(2) == 0 {
				_, _ = c.Read(make([]byte, 1))
			}
			if rng.IntN(2) == 0 {
				reset(c.(*net.TCPConn))
			} else {
				c.Close()
			}
		})
	}
	clients.Wait()
}

// FuzzExplicit sends anything to the proxy as an HTTP client would. Upstream
// is a server that returns what it gets, and nothing else can be reached.
func FuzzExplicit(f *testing.F) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer reset(c.(*net.TCPConn)) // nobody has ports for so many that linger
				if n, _ := c.Read(make([]byte, 1<<10)); n == 0 {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback")
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	to := ln.Addr().String()
	for _, text := range garbage {
		if len(text) < 1<<10 {
			f.Add([]byte(text))
		}
	}
	for _, e := range exchanges {
		f.Add([]byte(strings.NewReplacer("$target", "http://upstream", "$host", "upstream").Replace(e.request)))
	}
	f.Add([]byte("CONNECT upstream:80 HTTP/1.1\r\n\r\nhello"))
	f.Add([]byte("GET http://upstream/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello"))
	p := run(f, &Server{Plan: delayed(short, true, 1), Exempt: func(_, address string, _ syscall.RawConn) error {
		if address != to {
			return errors.New("out of bounds")
		}
		return nil
	}})
	over := f.Context().Done()
	go func() { // there is no end to what the recorder would have to keep
		for {
			select {
			case <-p.begun:
			case <-p.ended:
			case <-over:
				return
			}
		}
	}()
	f.Fuzz(func(t *testing.T, data []byte) {
		// A name of the length of any is put in, so that some get through.
		data = []byte(strings.ReplaceAll(string(data), "upstream", to))
		c := dial(t, p.addr)
		defer reset(c)
		go func() {
			_, _ = c.Write(data)
			_ = c.CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("nothing came of it")
		}
	})
}
