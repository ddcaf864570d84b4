package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// agentProcess is an agent of its own process, of a user.
func agentProcess(t *testing.T, uid int, flags ...uintptr) Peer {
	t.Helper()
	cmd := as(t, uid, "agent", "")
	for _, f := range flags {
		cmd.SysProcAttr.Cloneflags |= f
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	own := number(t, strings.TrimSpace(line))
	peers, err := Agents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		if p.PID == cmd.Process.Pid && p.Own == own {
			return p
		}
	}
	t.Fatalf("nobody finds %d, which calls itself %d: %+v", cmd.Process.Pid, own, peers)
	return Peer{}
}

// TestLookAlikes are sockets that are called almost as an agent's is.
func TestLookAlikes(t *testing.T) {
	before, err := names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"fault-agent-", "fault-agent-77", "fault-agent-77-", "fault-agent-077-00000001", "fault-agent-0-00000001",
		"fault-agent--77-00000001", "fault-agent-77-0000000G", "fault-agent-77-000000012", "fault-agent-99999999999-00000001",
		"fault-agent-9999999999-00000001", "Fault-agent-77-00000001", "xfault-agent-77-00000001", "@fault-agent-77-00000001",
		"fault-agent-77-00000001 ", "fault-agent-77-00000001\x00", " @fault-agent-77-00000001",
		"fault-agent-77-00000001/x", strings.Repeat("9", 100),
	} {
		at, err := net.Listen("unix", "@"+name)
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
	}
	// A file of that name, a datagram socket, and one that does not listen.
	file := t.TempDir() + "/@fault-agent-78-00000001"
	at, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	datagrams, err := net.ListenPacket("unixgram", "@fault-agent-79-00000001")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@fault-agent-80-00000001"}); err != nil {
		t.Fatal(err)
	}
	after, err := names()
	if err != nil {
		t.Fatal(err)
	}
	for name := range after {
		if _, known := before[name]; !known && strings.HasSuffix(name, "-00000001") {
			t.Errorf("%q is taken for an agent", name)
		}
	}
}

// TestForgedLine is a name with a line of /proc/net/unix in it: it may be
// listed, but nobody is there.
func TestForgedLine(t *testing.T) {
	const forged = "fault-agent-81-00000001"
	at, err := net.Listen("unix", "@\n0: 00000002 00000000 00010000 0001 01 1 @"+forged)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	names, err := names()
	if err != nil {
		t.Fatal(err)
	}
	if _, there := names[forged]; !there {
		t.Error("the forged line is not read; the rest says nothing")
	}
	if p, err := find(t.Context(), forged); err == nil {
		t.Errorf("it is taken for %+v", p)
	}
}

// TestImpostors listen under an agent's name, and do what no agent does.
func TestImpostors(t *testing.T) {
	leavesNothing(t)
	for text, want := range map[string]struct {
		code Code
		text string
	}{
		"":                                     {Ended, "ended before it answered"},
		"hello":                                {Ended, "ended before it answered"},
		"\n":                                   {NoAnswer, "did not answer with a line of JSON"},
		strings.Repeat("x", replyLimit) + "\n": {NoAnswer, "answered with more than"},
		`{"schema":7}` + "\n":                  {NoAnswer, "answers with schema 7"},
		`{"schema":1,"error":"busy","text":"of\u001b[2J"}` + "\n": {"busy", "refuses: of\x1b[2J"},
	} {
		at, err := net.Listen("unix", "@"+namePrefix+"82-00000001")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := at.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, text)
				conn.Close()
			}
		}()
		peer, err := find(t.Context(), namePrefix+"82-00000001")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Ask(t.Context(), Look); !Is(err, want.code) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%.20q: %v, want %s: %s", text, err, want.code, want.text)
		}
		at.Close()
		<-done
	}
}

// halt stops a process, all of it.
func halt(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		running := slices.ContainsFunc(states, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && !strings.Contains(string(text), ") T ")
		})
		if !running {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d does not stop", pid)
		}
	}
}

// TestStoppedAgent is found, and does not answer.
func TestStoppedAgent(t *testing.T) {
	peer := agentProcess(t, os.Geteuid())
	halt(t, peer.PID)
	if found, err := find(t.Context(), peer.name); err != nil || found != peer {
		t.Errorf("%+v and %v, want %+v", found, err, peer)
	}
	if _, err := peer.Ask(t.Context(), Look); !Is(err, NoAnswer) || err.Error() != "did not answer within 2s" {
		t.Errorf("it answers: %v", err)
	}
	// Its queue fills at some time.
	var waiting []net.Conn
	defer func() {
		for _, c := range waiting {
			c.Close()
		}
	}()
	for {
		conn, err := net.Dial("unix", "@"+peer.name)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, conn)
	}
	unseen := Peer{Own: peer.Own, UID: -1, name: peer.name}
	if found, err := find(t.Context(), peer.name); err != nil || found != unseen {
		t.Errorf("with a full queue: %+v and %v, want %+v", found, err, unseen)
	}
	if _, err := unseen.Ask(t.Context(), Look); !Is(err, NoAnswer) || !strings.Contains(err.Error(), "many wait") {
		t.Errorf("with a full queue: %v", err)
	}
}

// TestOtherPIDNamespace is an agent that calls itself 1.
func TestOtherPIDNamespace(t *testing.T) {
	as(t, 65533, "", "") // needs root
	peer := agentProcess(t, os.Geteuid(), syscall.CLONE_NEWPID)
	if peer.Own != 1 || peer.ID() != peer.PID || peer.PID == 1 {
		t.Errorf("it is %+v", peer)
	}
	if got, want := peer.String(), fmt.Sprintf("fault[%d] (1 in its own pid namespace)", peer.PID); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	if _, err := peer.Ask(t.Context(), Look); err != nil {
		t.Error(err)
	}
}

// TestKilled leaves nothing, whatever ended it.
func TestKilled(t *testing.T) {
	cmd := as(t, os.Geteuid(), "agent", "")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	peers, err := Agents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, p := range peers {
		if p.PID != cmd.Process.Pid {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := p.Gone(ctx); err != nil {
			t.Error(err)
		}
		return
	}
	t.Errorf("nobody found %d: %+v", cmd.Process.Pid, peers)
}
