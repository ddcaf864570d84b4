package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/internal/requires"
)

// patience bounds every wait.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	role, name := os.Getenv("FAULT_CONTROL_ROLE"), os.Getenv("FAULT_CONTROL_NAME")
	switch role {
	case "":
		os.Exit(m.Run())
	case "agent":
		serveUntilEOF()
	case "client":
		ask(name)
	case "raw client":
		askAnyway(name)
	}
}

// serveUntilEOF is this test binary as an agent, which says what it is called
// and ends with its standard input.
func serveUntilEOF() {
	stop, err := Serve(os.Getpid(), &record{}, zap.NewNop())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	fmt.Println(os.Getpid())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// ask is this test binary as `fault`: it says what an agent of a name answers.
func ask(name string) {
	peer, err := find(context.Background(), name)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := peer.Ask(context.Background(), Stop); err != nil {
		fmt.Printf("uid %d %s\n", peer.UID, err)
		return
	}
	fmt.Println("it answered")
}

// askAnyway says what an agent sends to who does not care whether he may ask.
func askAnyway(name string) {
	conn, err := net.Dial("unix", "@"+name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, event.Line(Request{Schema: event.Schema, Do: Stop}))
	_, _ = io.Copy(os.Stdout, conn)
}

// as is this test binary in one of those roles, as a user.
func as(t *testing.T, uid int, role, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"FAULT_CONTROL_ROLE=" + role, "FAULT_CONTROL_NAME=" + name}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid != os.Geteuid() {
		requires.Root(t)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	return cmd
}

// record is an agent that notes what it is asked.
type record struct {
	mu     sync.Mutex
	status Status
	asked  []Verb
}

func (r *record) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, Look)
	return r.status
}

func (r *record) Pause() bool  { return r.set(Pause, &r.status.Paused, true) }
func (r *record) Resume() bool { return r.set(Resume, &r.status.Paused, false) }
func (r *record) Stop()        { r.set(Stop, &r.status.Ending, true) }

func (r *record) set(verb Verb, state *bool, to bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, verb)
	changed := *state != to
	*state = to
	return changed
}

// was is what it was asked, but for its status.
func (r *record) was() []Verb {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.asked), func(v Verb) bool { return v == Look })
}

// served is an agent of the test, and how others find it.
func served(t *testing.T, agent Agent) (peer Peer, stop func()) {
	t.Helper()
	before, err := names()
	if err != nil {
		t.Fatal(err)
	}
	stop, err = Serve(os.Getpid(), agent, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	after, err := names()
	if err != nil {
		t.Fatal(err)
	}
	for name, pid := range after {
		if _, known := before[name]; known || pid != os.Getpid() {
			continue
		}
		if peer, err = find(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		return peer, stop
	}
	t.Fatal("nobody finds the agent")
	return peer, stop
}

// find is the agent whose socket has a name.
func find(ctx context.Context, name string) (Peer, error) {
	peers, err := Agents(ctx)
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.name == name })
	if err != nil || i < 0 {
		return Peer{}, fmt.Errorf("no agent %s: %w", name, err)
	}
	return peers[i], nil
}

// leavesNothing holds that a test gives back its goroutines and descriptors.
func leavesNothing(t *testing.T) {
	t.Helper()
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	// What Go keeps for ever is there before.
	if _, err := Agents(t.Context()); err != nil {
		t.Fatal(err)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			g, f := runtime.NumGoroutine(), descriptors()
			if g <= goroutines && f <= files {
				return
			}
			if time.Now().After(end) {
				t.Errorf("%d goroutines and %d descriptors are left, want %d and %d", g, f, goroutines, files)
				return
			}
		}
	})
}

// talk sends text to an agent, ends its own half, and returns the reply.
func talk(t *testing.T, p Peer, text string) (Reply, error) {
	t.Helper()
	conn, err := net.Dial("unix", "@"+p.name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text)
	_ = conn.(*net.UnixConn).CloseWrite()
	line, err := io.ReadAll(conn)
	if len(line) == 0 {
		return Reply{}, err
	}
	var r Reply
	if err := json.Unmarshal(line, &r); err != nil {
		t.Errorf("%.20q is answered with %q", text, line)
	}
	return r, nil
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
