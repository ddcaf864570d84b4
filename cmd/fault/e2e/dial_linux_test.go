package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

func init() { roles["dial"] = dialEach }

// dialEach connects to each address of the arguments, and prints what became
// of it: WAY ADDRESS/PORT RESULT MS ms.
func dialEach(targets []string) error {
	told := make([]string, 2*len(targets))
	var all sync.WaitGroup
	for i, target := range targets {
		all.Go(func() { told[2*i] = "plain " + target + " " + timed(target, 8*time.Second) })
		all.Go(func() { told[2*i+1] = "timeout " + target + " " + timed(target, 5*time.Second) })
	}
	all.Wait()
	fmt.Println(strings.Join(told, "\n"))
	return nil
}

func timed(target string, timeout time.Duration) string {
	began := time.Now()
	outcome := dialled(target, timeout)
	return fmt.Sprintf("%s %d ms", outcome, time.Since(began).Milliseconds())
}

func dialled(target string, timeout time.Duration) string {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	host, port, _ := strings.Cut(target, "/")
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "connect " + named(err)
	}
	defer c.Close()
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil && err != io.EOF {
		return "read " + named(err)
	}
	return fmt.Sprintf("read %q", b[:n])
}

// named is what programs look at of an error.
func named(err error) string {
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return err.Error()
}
