package check

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/internal/requires"
)

// TestLeftBehind is a program that stays although no process holds it: by a
// pin, which an agent never makes.
func TestLeftBehind(t *testing.T) {
	top, _, err := bpf.TopCgroup()
	if err != nil {
		t.Fatal(err)
	}
	requires.Root(t)
	requires.That(t, top != "/", "a cgroup2 that is mounted")
	cgroup, err := os.MkdirTemp(top, "fault-check-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(cgroup) })
	pins := t.TempDir()
	if err := unix.Mount("bpf", pins, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(pins, unix.MNT_DETACH) })
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "fault_connect4", Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, License: "GPL",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: ebpf.AttachCGroupInet4Connect, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(pins, "link")
	if err := l.Pin(pin); err != nil {
		t.Fatal(err)
	}
	left := func() bool {
		all, err := leftBehind()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(a bpf.Attachment) bool {
			return a.Link == uint32(info.ID) && a.Program == "fault_connect4"
		})
	}
	if left() {
		t.Error("left behind although this process holds it")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !left() {
		t.Error("not left behind although no process holds it")
	}
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	if left() {
		t.Error("left behind although it has gone")
	}
}
