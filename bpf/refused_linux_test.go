package bpf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// TestProgramError is what the kernel says of a program that is wrong, in one
// line.
func TestProgramError(t *testing.T) {
	needsRoot(t)
	wrong := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{interceptProgFaultConnect4: {
		Name: interceptProgFaultConnect4, Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R0, asm.R1, 76, asm.DWord), // behind the end of its context
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
		},
	}}}
	var objs struct {
		P *ebpf.Program `ebpf:"fault_connect4"`
	}
	loading := wrong.LoadAndAssign(&objs, nil)
	if loading == nil {
		objs.P.Close()
		t.Fatal("the kernel took it")
	}
	err := refused("load programs", loading)
	var program *ProgramError
	if !errors.As(err, &program) || errors.Is(err, ErrMissing) {
		t.Fatalf("%v", err)
	}
	want := fmt.Sprintf("the kernel refused our program `connect4`: invalid bpf_context access off=76 size=8 (%d lines omitted)", program.Omitted)
	if program.Omitted < 2 || err.Error() != want {
		t.Errorf("%v, want\n%s", err, want)
	}
	if !strings.Contains(VerifierLog(err), "processed ") {
		t.Errorf("the log is %q", VerifierLog(err))
	}
	t.Run("without cap_perfmon", func(t *testing.T) {
		withOnly(t, unix.CAP_BPF, unix.CAP_NET_ADMIN)
		err := refused("load programs", loading)
		want := "cap_perfmon is missing, without which this kernel (" + HostKernel().Release + ") refuses `connect4`"
		if err.Error() != want || !errors.Is(err, ErrMissing) || VerifierLog(err) == "" {
			t.Errorf("%v, want\n%s", err, want)
		}
	})
}

func TestProgramErrorLines(t *testing.T) {
	for want, log := range map[string][]string{
		"the kernel refused our program `connect4`: last":                   {"last"},
		"the kernel refused our program `connect4`: processed 1 insns":      {"processed 1 insns"},
		"the kernel refused our program `connect4`: last (1 line omitted)":  {"last", "processed 1 insns"},
		"the kernel refused our program `connect4`: last (2 lines omitted)": {"first", "\tlast", "processed 1 insns"},
	} {
		err := programError(errors.New("load programs: program fault_connect4: load program: permission denied"), log)
		if err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if got := programIn("something else"); got != "unknown" {
		t.Errorf("the program is %q", got)
	}
}

// TestLacking is what a kernel is too old for.
func TestLacking(t *testing.T) {
	for _, tc := range []struct {
		kernel Kernel
		want   string
	}{
		{Kernel{Release: "5.4.0-150"}, "this kernel (5.4.0-150) has no BPF links for cgroups (Linux 5.7 has); a crash would leave connections diverted"},
		{Kernel{Release: "5.7.1", CgroupLinks: true}, "this kernel (5.7.1) lacks a BPF feature that interception needs (Linux 5.8 has all): invalid argument"},
	} {
		err := lacking(tc.kernel, unix.EINVAL)
		if err.Error() != tc.want || !errors.Is(err, ErrMissing) || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%v, want\n%s", err, tc.want)
		}
	}
}

func TestKernelAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"5.6.19": false, "5.7.0-rc1": true, "5.10.0-33-amd64": true, "6.1": true, "4.19.0": false, "10.0": true, "unknown": false, "": false,
	} {
		if got := (Kernel{Release: release}).AtLeast(5, 7); got != want {
			t.Errorf("%q: %v, want %v", release, got, want)
		}
	}
}

func TestLockdownWord(t *testing.T) {
	for text, want := range map[string]string{
		"[none] integrity confidentiality\n": "none", "none [integrity] confidentiality\n": "integrity", "none integrity\n": "", "": "",
	} {
		if got, err := chosen(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}
