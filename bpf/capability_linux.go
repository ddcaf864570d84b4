package bpf

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hasCapability says whether a capability is in this thread's effective set.
// CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, which were cut from it.
func hasCapability(c int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	if c == unix.CAP_BPF || c == unix.CAP_PERFMON {
		return has(c) || has(unix.CAP_SYS_ADMIN)
	}
	return has(c)
}

// Check returns a [MissingError] that names the capabilities that [Attach]
// needs and this process lacks; nil if it has them.
func Check() error {
	var missing []string
	if !hasCapability(unix.CAP_BPF) {
		missing = append(missing, "cap_bpf")
	}
	if !hasCapability(unix.CAP_NET_ADMIN) {
		missing = append(missing, "cap_net_admin")
	}
	if len(missing) == 0 {
		return nil
	}
	verb := "is"
	if len(missing) > 1 {
		verb = "are"
	}
	return &MissingError{
		What: fmt.Sprintf("%s %s missing (uid %d)", joinWords(missing), verb, unix.Getuid()),
		Hint: "use sudo, or once `sudo setcap cap_bpf,cap_net_admin,cap_perfmon+ep \"$(command -v fault)\"`, or `--transparent off`",
	}
}
