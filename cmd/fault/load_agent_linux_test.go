package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// loaded is an agent under a load. It is stopped but for its turns.
type loaded struct {
	cmd      *exec.Cmd
	proxy    string
	terminal *terminal

	rates, frames []float64 // in a second, by turn
	flows, cpu    float64   // together, and how many seconds of a processor
}

// loadable starts an agent on a terminal of its own.
func loadable(b *testing.B, binary string, flags ...string) *loaded {
	b.Helper()
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	a := &loaded{proxy: free.Addr().String()}
	if err := free.Close(); err != nil {
		b.Fatal(err)
	}
	ours, theirs, err := pty.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer theirs.Close()
	if err := pty.Setsize(ours, &pty.Winsize{Cols: 100, Rows: 30}); err != nil {
		b.Fatal(err)
	}
	a.terminal = &terminal{file: ours}
	go a.terminal.read()
	a.cmd = exec.Command(binary, append([]string{"run", "--proxy-address", a.proxy, "--transparent", "off", "--duration", "1h",
		"--with-latency", "--latency-mean", "1", "--latency-stddev", "0.2"}, flags...)...)
	a.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8")
	a.cmd.Stdin, a.cmd.Stdout, a.cmd.Stderr = theirs, theirs, theirs
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := a.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		ours.Close()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp4", a.proxy)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			b.Fatal(err)
		}
	}
	if len(flags) == 0 {
		for end := time.Now().Add(10 * time.Second); a.terminal.frames.Load() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				b.Fatal("no view")
			}
		}
	}
	a.signal(b, syscall.SIGSTOP)
	return a
}

func (a *loaded) signal(b *testing.B, s syscall.Signal) {
	b.Helper()
	if err := a.cmd.Process.Signal(s); err != nil {
		b.Fatal(err)
	}
}

func (a *loaded) resume(b *testing.B) { a.signal(b, syscall.SIGCONT) }

func (a *loaded) forget() { a.rates, a.frames, a.flows, a.cpu = nil, nil, 0, 0 }

// turn loads it once.
func (a *loaded) turn(b *testing.B, l *load, rate float64) {
	b.Helper()
	a.resume(b)
	defer a.signal(b, syscall.SIGSTOP)
	frames, cpu, began := a.terminal.frames.Load(), a.seconds(b), time.Now()
	flows := l.carry(b, a.proxy, turn, rate)
	took := time.Since(began).Seconds()
	a.cpu += a.seconds(b) - cpu
	a.flows += flows * took
	a.rates = append(a.rates, flows)
	a.frames = append(a.frames, float64(a.terminal.frames.Load()-frames)/took)
}

// perFlow is how many seconds of a processor a flow takes.
func (a *loaded) perFlow() float64 { return a.cpu / a.flows }

// seconds of a processor that it has taken.
func (a *loaded) seconds(b *testing.B) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	const perSecond = 100
	sum := 0.0
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n / perSecond
	}
	return sum
}

// memory is how many MiB are resident.
func (a *loaded) memory(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kibibytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kibibytes / 1024
}

// terminal counts what is written to it. It says that it can show frames at
// once, which marks them.
type terminal struct {
	file          *os.File
	frames, bytes atomic.Int64
}

func (t *terminal) read() {
	frame, question := []byte("\x1b[?2026l"), []byte("\x1b[?2026$p")
	buf, kept := make([]byte, 64<<10), 0
	for {
		n, err := t.file.Read(buf[kept:])
		if err != nil {
			return
		}
		t.bytes.Add(int64(n))
		seen := buf[:kept+n]
		t.frames.Add(int64(bytes.Count(seen, frame)))
		if bytes.Contains(seen, question) {
			_, _ = t.file.WriteString("\x1b[?2026;2$y")
		}
		// The beginning of a sequence, of which the end is still to come.
		kept = 0
		if i := bytes.LastIndexByte(seen, '\x1b'); i >= 0 && len(seen)-i < len(frame) {
			kept = copy(buf, seen[i:])
		}
	}
}
