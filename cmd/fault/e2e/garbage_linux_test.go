package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// exchangeSteadily keeps one connection to an echo server busy until the end
// of standard input, and then says how often it went round, and how long the
// slowest took.
func exchangeSteadily(args []string) error {
	c, err := dialEcho(&net.Dialer{}, "tcp", args[0])
	if err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	payload := make([]byte, 4096)
	var slowest time.Duration
	for n := 0; ; n++ {
		select {
		case <-over:
			fmt.Println(n, slowest.Milliseconds(), c.direct())
			return nil
		case <-time.After(time.Millisecond):
		}
		_, _ = rand.Read(payload)
		began := time.Now()
		_ = c.SetDeadline(began.Add(patience))
		if err := c.checks(payload); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		slowest = max(slowest, time.Since(began))
	}
}

// TestGarbage sends the listener what no client would, while a flow runs that
// must not notice.
func TestGarbage(t *testing.T) {
	needs(t, "nginx", "curl")
	server := newServer(t)
	server.serveWeb(t)
	client := newClient(t, server)
	a := client.run(t, "--cgroup", client.isolate(t), "--with-latency", "--latency-mean", "20", "--upstream", "*")
	open := len(a.descriptors())
	cmd := role(t, "steady", server.serveEcho(t, "192.0.2.10:0"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	steady := start(t, client, cmd)
	eventually(t, "the steady flow", func() bool { return len(a.descriptors()) > open || !steady.running() })

	noise := make([]byte, 1<<20)
	_, _ = rand.Read(noise)
	for name, garbage := range map[string][]byte{
		"nothing":             nil,
		"noise":               noise,
		"zeros":               make([]byte, 1<<20),
		"one line of noise":   append(bytes.ReplaceAll(noise[:1000], []byte("\n"), nil), '\n'),
		"half a request":      []byte("GET http://192.0.2.10/ HTTP/1.1\r\nHost: 192"),
		"half a body":         []byte("POST http://192.0.2.10/ HTTP/1.1\r\nHost: 192.0.2.10\r\nContent-Length: 1000\r\n\r\nhalf"),
		"half a CONNECT":      []byte("CONNECT 192.0.2.10:80 HTTP/1.1\r\n"),
		"CONNECT to no port":  []byte("CONNECT 192.0.2.10 HTTP/1.1\r\n\r\n"),
		"CONNECT to us":       []byte("CONNECT " + a.proxy + " HTTP/1.1\r\n\r\n"),
		"a request to us":     []byte("GET http://" + a.proxy + "/ HTTP/1.1\r\nHost: " + a.proxy + "\r\n\r\n"),
		"no scheme we know":   []byte("GET gopher://192.0.2.10/ HTTP/1.1\r\nHost: 192.0.2.10\r\n\r\n"),
		"TLS":                 []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(noise[:512])),
		"HTTP/2":              []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + string(noise[:100])),
		"two lengths":         []byte("POST http://192.0.2.10/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
		"a bad chunk":         []byte("POST http://192.0.2.10/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		"a megabyte of head":  []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20)),
		"many empty requests": []byte(strings.Repeat("\r\n\r\n", 10000)),
	} {
		for i := range 20 {
			if err := throw(client, a.proxy, garbage, i%2 == 0); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}

	in.Close()
	if code := steady.await(t); code != 0 {
		t.Fatalf("the steady flow broke:\n%s", tail(&steady.stderr))
	}
	var rounds, slowest int
	var direct bool
	if _, err := fmt.Sscan(steady.stdout.String(), &rounds, &slowest, &direct); err != nil || rounds == 0 || direct {
		t.Errorf("the steady flow said %q", steady.stdout.String())
	}
	t.Logf("%d rounds, the slowest of %d ms", rounds, slowest)
	if slowest > 500 {
		t.Errorf("a round of the steady flow took %d ms", slowest)
	}
	// The proxy is still one, and has kept nothing.
	if said := answer(t, client, program(t, "curl", "-sS", "--max-time", "20", "-x", "http://"+a.proxy, pageURL("http", server.v4))); said != page {
		t.Errorf("through the proxy curl said %q", said)
	}
	// Of curl's request a connection to the server is kept for the next one.
	eventually(t, "descriptors are given back", func() bool { return len(a.descriptors()) <= open+1 })
	a.stop(t)
}

// throw sends garbage and goes away, perhaps with a reset. It takes what comes
// back, so that it is not the first to close.
func throw(h *host, address string, garbage []byte, reset bool) error {
	c, err := h.dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if reset {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	// It may well be refused before all of it is sent.
	_, _ = c.Write(garbage)
	if reset {
		return nil
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_, err = io.Copy(io.Discard, c)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return fmt.Errorf("the proxy neither answers nor closes: %w", err)
	}
	return nil
}
