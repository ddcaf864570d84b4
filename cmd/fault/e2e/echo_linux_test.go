package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// serveEcho serves in a host what most tests connect to: it says whom it sees
// as its peer, and then returns what it gets.
func (h *host) serveEcho(t testing.TB, address string) string {
	t.Helper()
	ln := h.listen(t, address)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintln(c, c.RemoteAddr())
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// serveEchoUDP says to each datagram whom it sees.
func (h *host) serveEchoUDP(t testing.TB, address string) string {
	t.Helper()
	c := h.listenUDP(t, address)
	go func() {
		for buf := make([]byte, 1500); ; {
			_, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(fmt.Appendln(nil, from), from)
		}
	}()
	return c.LocalAddr().String()
}

// echoed is a connection to such a server, past its greeting.
type echoed struct {
	net.Conn
	*bufio.Reader
	// saw is whom the server sees.
	saw netip.AddrPort
}

// Read is that of the buffer.
func (e *echoed) Read(p []byte) (int, error) { return e.Reader.Read(p) }

// WriteTo is not to go past the buffer.
func (e *echoed) WriteTo(w io.Writer) (int64, error) { return e.Reader.WriteTo(w) }

// direct says whether nobody is between the two ends. The name of a zone is
// the business of each end alone.
func (e *echoed) direct() bool {
	here, err := netip.ParseAddrPort(e.LocalAddr().String())
	return err == nil && here.Port() == e.saw.Port() && here.Addr().WithZone("") == e.saw.Addr().WithZone("")
}

// dialEcho connects with patience for an answer.
func dialEcho(d *net.Dialer, network, address string) (*echoed, error) {
	c, err := d.Dial(network, address)
	if err != nil {
		return nil, err
	}
	e, err := greeted(c)
	if err != nil {
		c.Close()
	}
	return e, err
}

func greeted(c net.Conn) (*echoed, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	if c.LocalAddr().Network() == "udp" {
		if _, err := c.Write([]byte("hello\n")); err != nil {
			return nil, err
		}
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	saw, err := netip.ParseAddrPort(strings.TrimSpace(line))
	return &echoed{c, r, saw}, err
}

// checks sends something and wants it back.
func (e *echoed) checks(payload []byte) error {
	if _, err := e.Write(payload); err != nil {
		return err
	}
	return e.returned(payload)
}

// returned reads what was sent before.
func (e *echoed) returned(payload []byte) error {
	back := make([]byte, len(payload))
	if _, err := io.ReadFull(e, back); err != nil {
		return err
	}
	if string(back) != string(payload) {
		return fmt.Errorf("%d bytes came back altered", len(payload))
	}
	return nil
}
