package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	loadUpstreams = 250
	loadClients   = 64
)

// message is what each flow of a load carries, both ways.
var message = bytes.Repeat([]byte("fault"), 10)

// load is servers that send back one message, and clients that send them one
// each through a proxy.
type load struct{ upstreams []string }

func newLoad(b *testing.B) *load {
	b.Helper()
	l := &load{}
	for i := range loadUpstreams {
		listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { listener.Close() })
		l.upstreams = append(l.upstreams, listener.Addr().String())
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				go sendBack(c.(*net.TCPConn))
			}
		}()
	}
	return l
}

// sendBack is the first to end a connection, whose client then resets it: the
// other way round it would stay in TIME_WAIT, and ports would run out.
func sendBack(c *net.TCPConn) {
	defer c.Close()
	buf := make([]byte, len(message))
	if _, err := io.ReadFull(c, buf); err != nil {
		return
	}
	if _, err := c.Write(buf); err != nil || c.CloseWrite() != nil {
		return
	}
	_, _ = c.Read(buf)
}

// carry lets the clients make flows for some time, at a rate, and as many as
// they can if that is 0. It returns how many there were in a second.
func (l *load) carry(b *testing.B, proxy string, lasts time.Duration, rate float64) float64 {
	b.Helper()
	var all sync.WaitGroup
	counts, errs := make([]int, loadClients), make([]error, loadClients)
	began := time.Now()
	for client := range loadClients {
		all.Go(func() {
			for n := 0; time.Since(began) < lasts; n++ {
				if rate > 0 {
					due := float64(n*loadClients+client) / rate
					time.Sleep(time.Until(began.Add(time.Duration(due * float64(time.Second)))))
				}
				if errs[client] = exchange(proxy, l.upstreams[(n*loadClients+client)%len(l.upstreams)]); errs[client] != nil {
					return
				}
				counts[client]++
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	sum := 0
	for client := range loadClients {
		if errs[client] != nil {
			b.Fatal(errs[client])
		}
		sum += counts[client]
	}
	return float64(sum) / took.Seconds()
}

// exchange is one flow.
func exchange(proxy, upstream string) error {
	c, err := net.Dial("tcp4", proxy)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n%s", upstream, message); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer, message) {
		return fmt.Errorf("the answer is %q", answer)
	}
	return nil
}
