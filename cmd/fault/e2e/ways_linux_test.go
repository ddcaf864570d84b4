package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// way is how a client reaches a server.
type way string

const (
	direct      way = "direct"
	intercepted way = "intercepted"
	tunnelled   way = "CONNECT"
	forwarded   way = "forward proxy"
	mapped      way = "mapping"
)

// ways are those with an agent in between.
var ways = []way{intercepted, tunnelled, forwarded, mapped}

const (
	// serverAddress is the same on each line, so that its name in what is
	// said is the same, too.
	serverAddress = "192.0.2.10:80"
	// mappingAddress stands for it where the agent maps it.
	mappingAddress = "127.0.0.1:9090"
)

// line is a client and a server that nobody else uses, and a way between them.
type line struct {
	way
	client, server *host
	agent          *agent // nil if the way is direct
	faults         bool   // of which none ever hits
}

// neverHit are all faults, each with a probability of 0.
var neverHit = []string{
	"--with-connect-error", "--connect-error-probability", "0",
	"--with-latency", "--latency-mean", "300", "--latency-per-read-write", "--latency-probability", "0",
	"--with-jitter", "--jitter-amplitude", "100", "--jitter-probability", "0",
	"--with-packet-loss", "--packet-loss-rate", "0.5", "--packet-loss-probability", "0",
	"--with-bandwidth", "--bandwidth-rate", "10", "--bandwidth-probability", "0",
	"--with-blackhole", "--blackhole-probability", "0",
	"--with-reset", "--reset-probability", "0",
	"--with-truncate", "--truncate-probability", "0",
	"--with-slice", "--slice-size", "1", "--slice-delay", "10", "--slice-probability", "0",
	"--with-slow-close", "--slow-close-probability", "0",
}

func newLine(t *testing.T, w way, faults bool) *line {
	t.Helper()
	server := newServer(t)
	l := &line{way: w, server: server, client: newClient(t, server), faults: faults}
	if w == direct {
		return l
	}
	args := []string{"--upstream", "*", "--cgroup", l.client.isolate(t)}
	if w == mapped {
		args = append(args, "--proxy", mappingAddress+"="+serverAddress)
	}
	if faults {
		args = append(args, neverHit...)
	}
	l.agent = l.client.run(t, args...)
	return l
}

// newLines makes a direct line, and for each way through an agent one without
// faults and one with those that never hit.
func newLines(t *testing.T) (bare *line, through []*line) {
	t.Helper()
	for _, w := range ways {
		through = append(through, newLine(t, w, false), newLine(t, w, true))
	}
	return newLine(t, direct, false), through
}

// through are the options by which curl goes this way.
func (l *line) through() []string {
	switch l.way {
	case tunnelled:
		return []string{"--proxy", "http://" + l.agent.proxy, "--proxytunnel", "--suppress-connect-headers"}
	case forwarded:
		return []string{"--proxy", "http://" + l.agent.proxy}
	case mapped:
		return []string{"--connect-to", serverAddress + ":" + mappingAddress}
	}
	return nil
}

// curl is curl with a request to the server. What it writes is what came back,
// with the heads, and in the form that it had on the connection.
func (l *line) curl(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return program(t, "curl", slices.Concat(l.through(), []string{"-sS", "--max-time", "20", "--include", "--raw"}, args)...)
}

// role is this program as a client that begins with dialer.
func (l *line) role(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	proxy := ""
	if l.agent != nil {
		proxy = l.agent.proxy
	}
	return role(t, name, append([]string{string(l.way), proxy}, args...)...)
}

// dialer reaches the server for a client in Go, and records what is said.
type dialer struct {
	way
	proxy string
	conn  *recorder // the last one
}

func newDialer(args []string) *dialer { return &dialer{way: way(args[0]), proxy: args[1]} }

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to := address
	switch d.way {
	case tunnelled:
		to = d.proxy
	case mapped:
		to = mappingAddress
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, to)
	if err == nil && d.way == tunnelled {
		err = openTunnel(c, address)
	}
	if err != nil {
		return nil, err
	}
	d.conn = &recorder{Conn: c}
	return d.conn, nil
}

// openTunnel asks the proxy at the other end for a tunnel. What comes behind
// its answer is the server's.
func openTunnel(c net.Conn, address string) error {
	if _, err := fmt.Fprintf(c, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address); err != nil {
		return err
	}
	head := ""
	for one := make([]byte, 1); !strings.HasSuffix(head, "\r\n\r\n"); head += string(one) {
		if _, err := io.ReadFull(c, one); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		return fmt.Errorf("CONNECT: %q", head)
	}
	return nil
}

// web is an HTTP client that reaches the server so, and asks for nothing that
// it was not told to ask for.
func (d *dialer) web() *http.Client {
	transport := &http.Transport{DialContext: d.dial, DisableCompression: true}
	if d.way == forwarded {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: d.proxy})
	}
	return &http.Client{Transport: transport, Timeout: patience}
}
