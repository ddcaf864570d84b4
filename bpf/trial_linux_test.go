package bpf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// TestTry is that everything is tried, and nothing is left of it.
func TestTry(t *testing.T) {
	needsRoot(t)
	trial, err := Try()
	if err != nil || trial.Programs != 8 || trial.Unattached != nil || trial.Left != nil || trial.Took <= 0 {
		t.Errorf("%+v, %v", trial, err)
	}
	noneLeft(t)
	t.Run("without privilege", func(t *testing.T) {
		withOnly(t)
		if trial, err := Try(); err == nil {
			t.Errorf("%+v", trial)
		}
		noneLeft(t)
	})
	t.Run("by another user", func(t *testing.T) {
		withOnly(t, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_SETUID)
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 { // this thread only
			t.Fatal(errno)
		}
		defer func() {
			if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0)); errno != 0 {
				t.Fatal(errno)
			}
		}()
		// The user ID has taken the capabilities away.
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&hdr, &data[0]); err != nil {
			t.Fatal(err)
		}
		for _, c := range []int{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_SETUID} {
			data[c/32].Effective |= 1 << (c % 32)
		}
		if err := unix.Capset(&hdr, &data[0]); err != nil {
			t.Fatal(err)
		}
		trial, err := Try()
		if err != nil || trial.Programs != 8 || trial.Unattached == nil || trial.Left != nil {
			t.Errorf("%+v, %v, want that no cgroup could be made", trial, err)
		}
		noneLeft(t)
	})
}

// noneLeft holds that no cgroup of a trial is there any more.
func noneLeft(t *testing.T) {
	t.Helper()
	top, _, err := TopCgroup()
	if err != nil {
		t.Fatal(err)
	}
	for _, parent := range []string{top, testCgroup} {
		path := filepath.Join(parent, fmt.Sprintf("fault-check-%d", os.Getpid()))
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

// TestAttachments finds what is attached in a cgroup, and by which link.
func TestAttachments(t *testing.T) {
	needsRoot(t)
	info, err := os.Stat(testCgroup)
	if err != nil {
		t.Fatal(err)
	}
	here := func() []string {
		found, err := Attachments()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range found {
			if a.Cgroup == info.Sys().(*syscall.Stat_t).Ino {
				names = append(names, a.Program)
			}
		}
		slices.Sort(names)
		return names
	}
	i := attach(t, Config{Cgroup: testCgroup, Proxy: server4})
	want := []string{"fault_connect4", "fault_connect6", "fault_peername4", "fault_peername6", "fault_sendmsg4", "fault_sendmsg6", "fault_sockops"}
	if i.IPv6() != nil {
		want = []string{"fault_mapped6", "fault_peername4", "fault_peername6", "fault_plain4", "fault_plainmsg4", "fault_plainmsg6", "fault_sockops"}
	}
	if got := here(); !slices.Equal(got, want) {
		t.Errorf("attached are %q, want %q", got, want)
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if got := here(); len(got) != 0 {
		t.Errorf("still attached are %q", got)
	}
}

// TestEachLinkMeanwhile lists links while others attach and detach.
func TestEachLinkMeanwhile(t *testing.T) {
	if testing.Short() {
		t.Skip("no kernel makes a difference to it")
	}
	needsRoot(t)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, License: "GPL",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	defer pauseCollector()()
	var stop atomic.Bool
	var others sync.WaitGroup
	defer others.Wait()
	defer stop.Store(true)
	for range 2 {
		others.Go(func() {
			for !stop.Load() {
				l, err := link.AttachCgroup(link.CgroupOptions{Path: testCgroup, Attach: ebpf.AttachCGroupInet4Connect, Program: program})
				if err != nil {
					t.Error(err)
					return
				}
				l.Close()
			}
		})
	}
	for range 5000 {
		if err := eachLink(func(link.Link) {}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTopCgroup is whether everything is in it.
func TestTopCgroup(t *testing.T) {
	needsRoot(t)
	path, _, err := TopCgroup()
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(path, "cgroup.type"))
	if _, whole, err2 := TopCgroup(); err2 != nil || whole != os.IsNotExist(err) {
		t.Errorf("whole %v, %v; cgroup.type: %v", whole, err2, err)
	}
}
