package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/processtest"
)

// agentProcess is an agent of its own process, of a user.
func agentProcess(t *testing.T, uid int, flags ...uintptr) Peer {
	t.Helper()
	cmd := as(t, uid, "agent", "")
	for _, f := range flags {
		cmd.SysProcAttr.Cloneflags |= f
	}
	own := number(t, strings.TrimSpace(processtest.UntilStdinEnds(t, cmd)))
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

// TestStoppedAgent is found, and does not answer.
func TestStoppedAgent(t *testing.T) {
	peer := agentProcess(t, os.Geteuid())
	processtest.Halt(t, peer.PID)
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
