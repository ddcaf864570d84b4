package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// ping sends a message at a steady pace over one connection to an echo, and
// then says when each was sent and how long it took to come back. Its args are
// the fields of a pinger.
func ping(args []string) error {
	p := pinger{address: args[0], proxy: args[1]}
	var err error
	if p.every, err = time.ParseDuration(args[2]); err != nil {
		return err
	}
	if p.lasts, err = time.ParseDuration(args[3]); err != nil {
		return err
	}
	c, r, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := r.ReadString('\n'); err != nil { // whom the server sees
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- p.send(c) }()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for range int(p.lasts / p.every) {
		var stamp int64
		if err := binary.Read(r, binary.BigEndian, &stamp); err != nil {
			return err
		}
		fmt.Fprintln(out, stamp, time.Now().UnixNano()-stamp)
	}
	return <-sent
}

// pinger is a client that pings.
type pinger struct {
	address, proxy string // asked for a tunnel, if not empty
	every, lasts   time.Duration
}

func (p pinger) dial() (net.Conn, *bufio.Reader, error) {
	to := p.address
	if p.proxy != "" {
		to = p.proxy
	}
	c, err := net.Dial("tcp", to)
	if err != nil {
		return nil, nil, err
	}
	_ = c.SetDeadline(time.Now().Add(p.lasts + patience))
	r := bufio.NewReader(c)
	if p.proxy != "" {
		fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", p.address, p.address)
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != http.StatusOK {
			return nil, nil, fmt.Errorf("CONNECT: %v, %w", resp, err)
		}
	}
	return c, r, nil
}

func (p pinger) send(w io.Writer) error {
	for next := time.Now(); ; {
		if err := binary.Write(w, binary.BigEndian, time.Now().UnixNano()); err != nil {
			return err
		}
		if p.lasts -= p.every; p.lasts < p.every {
			return nil
		}
		next = next.Add(p.every)
		time.Sleep(time.Until(next))
	}
}

// pong is what became of a message.
type pong struct {
	sent time.Time
	took time.Duration
}

// pings runs a pinger.
func (h *host) pings(t *testing.T, p pinger) []pong {
	t.Helper()
	cmd := role(t, "ping", p.address, p.proxy, p.every.String(), p.lasts.String())
	var all []pong
	for line := range strings.Lines(answer(t, h, cmd)) {
		var sent, took int64
		if _, err := fmt.Sscan(line, &sent, &took); err != nil {
			t.Fatalf("the pinger said %q: %v", line, err)
		}
		all = append(all, pong{time.Unix(0, sent), time.Duration(took)})
	}
	return all
}
