package bpf

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// TestNeighbours finds programs of others, and none of ours.
func TestNeighbours(t *testing.T) {
	needsRoot(t)
	newHost(t, everything())
	below := filepath.Join(testCgroup, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(below) })
	folder, err := os.Open(below)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	passes := func(name string, kind ebpf.ProgramType, at ebpf.AttachType) *ebpf.Program {
		t.Helper()
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: name, Type: kind, AttachType: at,
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, License: "GPL",
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	l, err := link.AttachCgroup(link.CgroupOptions{
		Path: below, Attach: ebpf.AttachCGroupInetEgress, Program: passes("sd_fw_egress", ebpf.CGroupSKB, ebpf.AttachCGroupInetEgress),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	// As programs were attached before there were several.
	alone := link.RawAttachProgramOptions{
		Target: int(folder.Fd()), Program: passes("alone", ebpf.SockOps, ebpf.AttachCGroupSockOps), Attach: ebpf.AttachCGroupSockOps,
	}
	attached := link.RawAttachProgram(alone) == nil // not below one of ours, which lets others be
	if attached {
		t.Cleanup(func() {
			_ = link.RawDetachProgram(link.RawDetachProgramOptions{Target: alone.Target, Program: alone.Program, Attach: alone.Attach})
		})
	}
	find := func() (here []Neighbour) {
		t.Helper()
		all, err := Neighbours()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			if n.Cgroup == testCgroup || n.Cgroup == below {
				n.ID = 0
				here = append(here, n)
			}
		}
		return here
	}
	want := []Neighbour{{Name: "sd_fw_egress", Hook: "egress", Cgroup: below}}
	if attached {
		want = append([]Neighbour{{Name: "alone", Hook: "sockops", Cgroup: below, Alone: true}}, want...)
	}
	if got := find(); !slices.Equal(got, want) {
		t.Errorf("found %+v, want %+v", got, want)
	}
	if !attached {
		t.Error("a program that wants to be alone could not be attached")
	}

	t.Run("without cap_sys_admin", func(t *testing.T) {
		withOnly(t, unix.CAP_BPF, unix.CAP_NET_ADMIN)
		for _, n := range find() {
			if n.Name != "" {
				t.Errorf("%+v has a name, which takes CAP_SYS_ADMIN", n)
			}
		}
	})
	t.Run("without privilege", func(t *testing.T) {
		withOnly(t)
		if all, err := Neighbours(); err == nil && len(all) > 0 {
			t.Errorf("found %+v", all)
		}
	})
}

// TestMountsClassifier reads what the kernel says of controllers.
func TestMountsClassifier(t *testing.T) {
	const head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\n"
	for text, want := range map[string]bool{
		head + "net_cls\t0\t8\t1\nnet_prio\t0\t8\t1\n": false,
		head + "net_cls\t5\t1\t1\n":                    true,
		head + "net_prio\t12\t1\t1\n":                  true,
		head + "net_cls\n":                             false,
		"":                                             false,
	} {
		if got := mountsClassifier(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
