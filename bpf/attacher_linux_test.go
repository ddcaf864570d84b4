package bpf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// attacherArgument makes this test binary an attacher.
const attacherArgument = "attacher"

func startAttacher(t *testing.T) *Attacher {
	t.Helper()
	needsRoot(t)
	a, err := StartAttacher(attacherArgument)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// TestNeededLater wants capabilities to be kept on the kernels that want them,
// and on no other.
func TestNeededLater(t *testing.T) {
	needsRoot(t)
	err := NeededLater()
	t.Log("FEATURE dropped-capabilities", map[bool]string{true: "yes", false: "no"}[err == nil], err)
	disabled, readErr := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled")
	want := ""
	switch k := HostKernel(); {
	case !k.AtLeast(5, 19) && (readErr != nil || string(disabled) != "0\n"):
		want = "this kernel wants them for each look at a BPF map ("
	case !k.AtLeast(6, 1):
		want = "this kernel wants them for the mark "
	}
	if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
		t.Errorf("needed: %v, want %q", err, want)
	}
}

// TestAnswersPrograms reads what kernels say of themselves.
func TestAnswersPrograms(t *testing.T) {
	for text, want := range map[string]bool{
		"": false,
		"0000000000000000 T tcp_getsockopt\n0000000000000000 t do_tcp_getsockopt\n":         false,
		"0000000000000000 T do_tcp_getsockopt\n":                                            true,
		"0000000000000000 r __ksym_do_tcp_getsockopt\n0000000000000000 T tcp_sock\t[tcp]\n": false,
	} {
		if got := answersPrograms(strings.NewReader(text)); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
	if HostKernel().AtLeast(6, 1) {
		symbols, err := os.Open("/proc/kallsyms")
		if err != nil {
			t.Fatal(err)
		}
		defer symbols.Close()
		if !answersPrograms(symbols) {
			t.Error("this kernel does, and its symbols do not say so")
		}
	}
}

// TestAttacher has all that an agent does work with what another process
// attached and which has ended since.
func TestAttacher(t *testing.T) {
	a := startAttacher(t)
	h := &host{t: t, ns: newNS(t)}
	h.ln = listen(t, h.ns, "127.0.0.1:0")
	var err error
	h.i, err = a.Attach(t.Context(), Config{Cgroup: testCgroup, Proxy: addrPortOf(h.ln), Rules: []Rule{everything()}})
	if err != nil {
		t.Fatalf("%v\n%s", err, VerifierLog(err))
	}
	defer h.i.Close()
	a.Close()
	if a.cmd.ProcessState == nil {
		t.Error("the attacher has not ended")
	}
	if got := h.i.Cgroup(); got != testCgroup {
		t.Errorf("cgroup %s, want %s", got, testCgroup)
	}
	if got, want := fmt.Sprint(h.i.IPv6()), fmt.Sprint(canReadKernel()); got != want {
		t.Errorf("IPv6: %s, want %s", got, want)
	}
	first, err := highDescriptors()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append(h.i.observes, h.i.diverts...) {
		if fd := l.(interface{ FD() int }).FD(); fd < first {
			t.Errorf("a link has descriptor %d, want at least %d", fd, first)
		}
	}
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err := unix.Connect(fd, sockaddr(server4)); err != nil {
			t.Fatal(err)
		}
		if peer := peername(t, fd); peer != server4 {
			t.Errorf("peer %v, want %v", peer, server4)
		}
		if o, ok := h.origin(accepted(t, h.ln)); !ok || o.Destination != server4 || o.PID != uint32(os.Getpid()) {
			t.Errorf("connection %d: origin %+v, %t", n, o, ok)
		}
	}
	if n := h.counted(Intercepted); n != 3 {
		t.Errorf("%d counted, want 3", n)
	}
	if n := h.waiting(); n != 0 {
		t.Errorf("%d origins are left", n)
	}
	var taken [8]byte
	if _, err := h.i.taken.memory.ReadAt(taken[:], int64(h.i.taken.at)); err != nil || !bytes.Contains(taken[:], []byte{3}) {
		t.Errorf("the programs are told of %v taken, want 3 (%v)", taken, err)
	}
	if err := h.i.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(attached(t)); n != 3 {
		t.Errorf("%d programs after the stop, want the 3 that observe", n)
	}
	if err := h.i.Close(); err != nil {
		t.Fatal(err)
	}
	if left := attached(t); len(left) != 0 {
		t.Errorf("still attached: %v", left)
	}
}

// TestAttacherDescriptors wants an attacher to have nothing of ours but its
// socket, and us to have nothing more than before in the end.
func TestAttacherDescriptors(t *testing.T) {
	needsRoot(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	inherited, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 40) // is not closed by exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	a := startAttacher(t)
	folder := fmt.Sprintf("/proc/%d/fd/", a.cmd.Process.Pid)
	open, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	sockets := make(map[string]bool) // it may just be taking its own over
	for _, e := range open {
		to, _ := os.Readlink(folder + e.Name())
		switch {
		case strings.HasPrefix(to, "pipe:"):
			t.Errorf("descriptor %s is %s", e.Name(), to)
		case strings.HasPrefix(to, "socket:"):
			sockets[to] = true
		}
	}
	if len(sockets) != 1 {
		t.Errorf("it has %d sockets, want 1", len(sockets))
	}
}

// TestAttacherRefuses wants errors to arrive as what they are.
func TestAttacherRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  Config
		want error
	}{
		"a folder that is no cgroup": {Config{Cgroup: "/proc", Proxy: netip.MustParseAddrPort("127.0.0.1:9")}, new(CgroupError)},
		"bytes that are no text":     {Config{Cgroup: "/\xff", Proxy: netip.MustParseAddrPort("127.0.0.1:9")}, new(CgroupError)},
		"another":                    {Config{Cgroup: testCgroup}, errors.New("")},
	} {
		t.Run(name, func(t *testing.T) {
			_, want := Attach(tc.cfg)
			i, err := startAttacher(t).Attach(t.Context(), tc.cfg)
			if err == nil {
				i.Close()
				t.Fatal("it attached")
			}
			if err.Error() != want.Error() && name != "bytes that are no text" {
				t.Errorf("error %q, want %q", err, want)
			}
			var cgroup *CgroupError
			if _, ok := tc.want.(*CgroupError); ok != errors.As(err, &cgroup) {
				t.Errorf("error %T", err)
			}
		})
	}
}

// TestAttacherEnds wants nothing to be left of an attacher that is told to end
// at any moment.
func TestAttacherEnds(t *testing.T) {
	cfg := Config{Cgroup: testCgroup, Proxy: netip.MustParseAddrPort("127.0.0.1:9")}
	for name, begin := range map[string]func(*Attacher){
		"at once": func(*Attacher) {},
		"with an order": func(a *Attacher) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if i, err := a.Attach(ctx, cfg); err == nil {
				i.Close()
			}
		},
		"killed": func(a *Attacher) {
			_ = a.cmd.Process.Kill()
			if i, err := a.Attach(context.Background(), cfg); err == nil {
				i.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := startAttacher(t)
			begin(a)
			a.Close()
			if err := unix.Kill(a.cmd.Process.Pid, 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("signal the attacher: %v, want %v", err, unix.ESRCH)
			}
			deadline := time.Now().Add(patience)
			for len(attached(t)) > 0 {
				if time.Now().After(deadline) {
					t.Fatalf("still attached: %v", attached(t))
				}
			}
		})
	}
}

// TestWireError wants errors to be the same on the other side, for those who
// tell them apart.
func TestWireError(t *testing.T) {
	verifier := &ebpf.VerifierError{Cause: unix.EACCES, Log: []string{"0: (b7) r0 = 0", "R1 !read_ok"}}
	program := &ProgramError{Program: "connect4", Reason: "R1 !read_ok", Omitted: 1, Err: fmt.Errorf("load: %w", verifier)}
	for name, err := range map[string]error{
		"other":           errors.New("no room"),
		"verifier":        fmt.Errorf("load: %w", verifier),
		"program":         program,
		"cgroup":          &CgroupError{"/x", unix.ENOENT},
		"missing":         &MissingError{What: "it is missing", Hint: "get it"},
		"missing, why":    &MissingError{What: "it is missing", Hint: "get it", Err: unix.EPERM, Cause: unix.EINVAL},
		"missing, refuse": &MissingError{What: "it is missing", Cause: program},
	} {
		t.Run(name, func(t *testing.T) {
			text, jsonErr := json.Marshal(outcome{Err: toWire(err)})
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			var arrived outcome
			if jsonErr := json.Unmarshal(text, &arrived); jsonErr != nil {
				t.Fatal(jsonErr)
			}
			got := arrived.Err.error()
			if got.Error() != err.Error() {
				t.Errorf("error %q, want %q", got, err)
			}
			if VerifierLog(got) != VerifierLog(err) {
				t.Errorf("log %q, want %q", VerifierLog(got), VerifierLog(err))
			}
			for _, kind := range []any{new(*MissingError), new(*ProgramError), new(*CgroupError)} {
				was := errors.As(err, kind)
				reflect.ValueOf(kind).Elem().SetZero()
				if is := errors.As(got, kind); is != was {
					t.Errorf("%T: %t, want %t", kind, is, was)
				}
			}
			var missing, wanted *MissingError
			if errors.As(err, &wanted) && errors.As(got, &missing) && missing.Hint != wanted.Hint {
				t.Errorf("hint %q, want %q", missing.Hint, wanted.Hint)
			}
			if errors.Is(err, ErrMissing) != errors.Is(got, ErrMissing) {
				t.Error("one of them is ErrMissing")
			}
		})
	}
}
