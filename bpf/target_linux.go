package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// checkProcessName says why nobody can have the name; nil if somebody can, and
// if it is empty, which asks for nobody in particular.
func checkProcessName(name string) error {
	switch {
	case name == "":
		return nil
	case strings.TrimSpace(name) == "":
		return fmt.Errorf("process name %q is blank", name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("process name %q has a NUL in it", name)
	}
	return nil
}

// inKernel is a name as the kernel keeps it: cut, and with a NUL.
func inKernel(name string) [16]byte {
	var comm [16]byte
	copy(comm[:len(comm)-1], name)
	return comm
}

// canReadProcessNames says why the programs may not read the names of
// processes; nil if they may. The name of the calling thread, which needs less,
// is no substitute: many programs connect from threads with names of their own.
func canReadProcessNames() error {
	const instead = "`--capture-pid` and `--cgroup` do without"
	if err := canReadKernel(); err != nil {
		hint := instead
		if !hasCapability(unix.CAP_PERFMON) {
			hint = "use sudo, or once `" + Setcap + "`; " + instead
		}
		return &MissingError{What: "processes cannot be told by name", Hint: hint, Err: err}
	}
	for _, helper := range []asm.BuiltinFunc{asm.FnGetCurrentTask, asm.FnProbeReadKernel} {
		err := features.HaveProgramHelper(ebpf.CGroupSockAddr, helper)
		// EINVAL: the library has put an older helper in place of one that is
		// refused, and does not know the answer to that.
		if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
			return &MissingError{
				What: fmt.Sprintf("this kernel (%s) does not let programs read the names of processes", HostKernel().Release),
				Hint: "kernel lockdown `confidentiality` forbids it; " + instead,
			}
		}
		if err != nil {
			return refused("ask for "+helper.String(), err)
		}
	}
	return nil
}
