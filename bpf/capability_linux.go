package bpf

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Setcap is the command that gives a binary what it needs once and for all.
const Setcap = `sudo setcap cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep "$(command -v fault)"`

// hasCapability says whether a capability is in this thread's effective set.
// CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, which were cut from it.
func hasCapability(c int) bool {
	own, err := capabilities()
	if err != nil {
		return false
	}
	has := func(c int) bool { return own[c/32].Effective&(1<<(c%32)) != 0 }
	if c == unix.CAP_BPF || c == unix.CAP_PERFMON {
		return has(c) || has(unix.CAP_SYS_ADMIN)
	}
	return has(c)
}

// EntersNamespaces says whether this process may enter network namespaces.
func EntersNamespaces() bool { return hasCapability(unix.CAP_SYS_ADMIN) }

// MissingCapabilities names those that this process lacks of the ones that
// help: "cap_bpf" and "cap_net_admin", which [Attach] needs, and "cap_perfmon",
// for IPv6 and on older kernels for anything.
func MissingCapabilities() []string {
	var missing []string
	for _, c := range []struct {
		name  string
		value int
	}{{"cap_bpf", unix.CAP_BPF}, {"cap_net_admin", unix.CAP_NET_ADMIN}, {"cap_perfmon", unix.CAP_PERFMON}} {
		if !hasCapability(c.value) {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// inUserNamespace says whether the capabilities of this process are those of a
// user namespace that was made later than the host's, as in a container without
// root. bpf(2) takes only the host's.
func inUserNamespace() bool {
	const initial = 0xEFFFFFFD // PROC_USER_INIT_INO in include/linux/proc_ns.h
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) == nil && st.Ino != initial
}

// Check returns a [MissingError] that names the capabilities that [Attach]
// needs and this process lacks; nil if it has them.
func Check() error {
	var missing []string
	for _, name := range MissingCapabilities() {
		if name != "cap_perfmon" {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) > 0:
		return &MissingError{
			What: fmt.Sprintf("%s %s missing (uid %d)", joinWords(missing), isOrAre(missing), unix.Getuid()),
			Hint: "use sudo, or once `" + Setcap + "`, or `--transparent off`",
		}
	case inUserNamespace():
		return &MissingError{
			What: fmt.Sprintf("cap_bpf and cap_net_admin are held in a user namespace only (uid %d)", unix.Getuid()),
			Hint: "bpf(2) takes the host's: run it outside of the container, or use `--transparent off`",
		}
	}
	return nil
}

func isOrAre(words []string) string {
	if len(words) > 1 {
		return "are"
	}
	return "is"
}
