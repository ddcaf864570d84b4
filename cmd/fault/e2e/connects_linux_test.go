package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// attempt is one connection of the client that connects again and again.
type attempt struct {
	began, ended time.Time
	direct       bool // nobody was between client and server
	err          string
}

// connectAgain connects to an echo server from a number of goroutines, each
// again and again until the end of standard input, and writes a line for each
// attempt.
func connectAgain(args []string) error {
	workers, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					attemptOnce(args[0])
				}
			}
		})
	}
	all.Wait()
	return nil
}

func attemptOnce(address string) {
	began := time.Now()
	direct := false
	c, err := dialEcho(&net.Dialer{Timeout: patience}, "tcp", address)
	if err == nil {
		direct = c.direct()
		err = c.checks([]byte("payload"))
		c.Close()
	}
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	fmt.Printf("%d %d %t %s\n", began.UnixNano(), time.Now().UnixNano(), direct, text)
}

// connector is that client at work.
type connector struct {
	*process
	in io.Closer
}

func (h *host) connects(t *testing.T, address string, workers int) *connector {
	t.Helper()
	cmd := role(t, "connect", address, strconv.Itoa(workers))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &connector{start(t, h, cmd), in}
}

// awaitMore waits for so many more attempts.
func (c *connector) awaitMore(t *testing.T, n int) {
	t.Helper()
	attempts := func() int { return strings.Count(c.stdout.String(), "\n") }
	want := attempts() + n
	eventually(t, fmt.Sprintf("%d more connects", n), func() bool { return attempts() >= want })
}

// finish ends the client and gives all its attempts.
func (c *connector) finish(t *testing.T) []attempt {
	t.Helper()
	c.in.Close()
	if code := c.await(t); code != 0 {
		t.Fatalf("the connecting client failed:\n%s", tail(&c.stderr))
	}
	var all []attempt
	for lines := bufio.NewScanner(strings.NewReader(c.stdout.String())); lines.Scan(); {
		var began, ended int64
		var a attempt
		fields := strings.SplitN(lines.Text(), " ", 4)
		if _, err := fmt.Sscanf(strings.Join(fields[:3], " "), "%d %d %t", &began, &ended, &a.direct); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		a.began, a.ended, a.err = time.Unix(0, began), time.Unix(0, ended), fields[3]
		all = append(all, a)
	}
	return all
}
