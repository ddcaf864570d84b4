package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// upload sends until the server has had enough, and then says what came back.
func upload(args []string) error {
	c, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for err == nil {
		_, err = c.Write(make([]byte, 10_000))
		time.Sleep(time.Millisecond) // as from a slow disk
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("the server's reset did not arrive")
	}
	got, _ := io.ReadAll(c)
	fmt.Printf("%s\n", got)
	return nil
}

// TestEarlyAnswer holds that an answer arrives that a server gives before it
// hangs up on an upload, as it does over any slow network: it is on its way
// when the reset comes after it.
func TestEarlyAnswer(t *testing.T) {
	needs(t)
	server := newServer(t)
	ln := server.listen(t, "192.0.2.10:0")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "too large")
			_, _ = io.CopyN(io.Discard, c, 20_000)
			c.Close() // bytes that are not read make it a reset
		}
	}()
	client := newClient(t, server)
	address := ln.Addr().String()
	for name, flags := range map[string][]string{
		"without agent": nil,
		"no faults":     {"--upstream", "*"},
		"latency":       {"--upstream", "*", "--with-latency", "--latency-mean", "100"},
	} {
		t.Run(name, func(t *testing.T) {
			if flags != nil {
				a := client.run(t, append(flags, "--cgroup", client.isolate(t))...)
				defer a.stop(t)
			}
			for range 5 {
				if got := answer(t, client, role(t, "upload", address)); got != "too large" {
					t.Errorf("the client got %q", got)
				}
			}
		})
	}
}
