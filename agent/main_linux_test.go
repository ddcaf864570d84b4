package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/internal/requires"
	"github.com/faultproxy/fault/netns"
	"github.com/faultproxy/fault/proxy/upstream"
)

// patience bounds every wait; a guest without KVM is slow.
const patience = 30 * time.Second

// server is an address of the namespace's own loopback device, so that the
// tests work on a kernel without modules. It is not in loopback's range.
var server = netip.MustParseAddrPort("192.0.2.10:80")

// settings is what an agent process of a test is told.
type settings struct {
	Upstreams []string
	Latency   time.Duration
	Duration  time.Duration
	Files     uint64   // limit of open files, 0 for that of the test
	Port      uint16   // of the proxy
	Callers   []string // each with its kind
	// ResetExisting and BlockQUIC are those of Config.
	ResetExisting, BlockQUIC bool
	JSON                     bool // write events, and nothing else
}

func TestMain(m *testing.M) {
	if text := os.Getenv("FAULT_AGENT_SETTINGS"); text != "" {
		if err := agentProcess([]byte(text)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// agentProcess is this test binary as an agent: a run needs a process, as one
// process is in one network namespace.
func agentProcess(text []byte) error {
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if s.Files > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: s.Files, Max: s.Files}); err != nil {
			return err
		}
	}
	upstreams, err := upstream.Parse(s.Upstreams)
	if err != nil {
		return err
	}
	set, err := parseCallers(s.Callers)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	out := lines.NewWriter(os.Stdout)
	defer out.Close(time.Second)
	cfg := Config{
		Version: "test", Proxy: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Port), Upstreams: upstreams, Transparent: On,
		Seed: 1, Duration: s.Duration, Out: out, Tail: true, Log: zap.NewNop(),
		Callers: set, ResetExisting: s.ResetExisting, BlockQUIC: s.BlockQUIC,
	}
	if s.JSON {
		cfg.JSON = out
	}
	if s.Latency > 0 {
		cfg.Faults = []faults.Planned{{Fault: faults.Latency{
			Delay: faults.Normal{Mean: s.Latency}, On: faults.LinksOf(faults.Server, faults.Ingress),
		}}}
	}
	_, err = Run(ctx, cfg)
	return err
}

// newNS is a namespace with the server's address.
func newNS(t *testing.T) *netns.NS {
	t.Helper()
	requires.Root(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := ns.AddAddr("lo", netip.PrefixFrom(server.Addr(), 32)); err != nil {
		t.Fatal(err)
	}
	return ns
}

// echo serves a namespace: it answers with the peer's address, then with what
// it is sent.
func echo(t *testing.T, ns *netns.NS) *net.TCPListener {
	t.Helper()
	return echoAt(t, ns, server)
}

func echoAt(t *testing.T, ns *netns.NS, at netip.AddrPort) *net.TCPListener {
	t.Helper()
	ln, err := ns.Listen(t.Context(), "tcp", at.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
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
	return ln.(*net.TCPListener)
}

// process is a running agent.
type process struct {
	t   *testing.T
	cmd *exec.Cmd

	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
	done  chan struct{}
}

func start(t *testing.T, ns *netns.NS, s settings) *process {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command("/proc/self/exe"), ready: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "FAULT_AGENT_SETTINGS="+string(text))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A child begins in the namespace of the thread that forks it.
	if err := ns.Do(p.cmd.Start); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		_ = p.cmd.Wait()
	})
	select {
	case <-p.ready:
	case <-p.done:
		t.Fatalf("the agent ended: %s", p.output())
	case <-time.After(patience):
		t.Fatal("the agent did not get ready")
	}
	return p
}

func (p *process) read(out io.Reader) {
	defer close(p.done)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.text, lines.Text())
		p.mu.Unlock()
		if strings.HasPrefix(lines.Text(), "ready after") || strings.HasPrefix(lines.Text(), `{"event":"start"`) {
			close(p.ready)
		}
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// end waits for the process, and returns what it wrote.
func (p *process) end() string {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("the agent did not end")
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the agent ended with %v", err)
	}
	return p.output()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// dial connects to the server from within a namespace.
func dial(ns *netns.NS) (*net.TCPConn, error) { return dialAt(ns, server) }

func dialAt(ns *netns.NS, at netip.AddrPort) (*net.TCPConn, error) {
	var c net.Conn
	err := ns.Do(func() (err error) {
		c, err = net.DialTimeout("tcp4", at.String(), patience)
		return err
	})
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn), nil
}

// exchange sends text over a new connection, and returns what the server saw as
// the peer and how long its first byte took, from before the connect: the
// server speaks at once.
func exchange(ns *netns.NS, text string) (peer string, took time.Duration, err error) {
	began := time.Now()
	c, err := dial(ns)
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return "", 0, err
	}
	if err := c.CloseWrite(); err != nil {
		return "", 0, err
	}
	first := bufio.NewReader(c)
	if _, err := first.Peek(1); err != nil {
		return "", 0, err
	}
	took = time.Since(began)
	all, err := io.ReadAll(first)
	if err != nil {
		return "", 0, err
	}
	peer, rest, _ := strings.Cut(string(all), "\n")
	if rest != text {
		return peer, took, fmt.Errorf("%d bytes came back, want %d", len(rest), len(text))
	}
	return peer, took, nil
}
