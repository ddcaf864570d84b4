package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Kernel is the running one.
type Kernel struct {
	// Release and Machine are uname(2)'s: "6.8.0-45-generic", "x86_64".
	Release, Machine string
	// BTF is why the types of this kernel are not known; nil if they are.
	BTF error
	// CgroupLinks says that programs can be attached such that they do not
	// outlive the agent.
	CgroupLinks bool
}

// HostKernel asks the kernel, which takes no privilege.
func HostKernel() Kernel {
	k := named()
	types, err := btf.LoadKernelSpec()
	if err != nil {
		k.BTF, k.CgroupLinks = err, k.AtLeast(5, 7)
		return k
	}
	// Distributions bring features back to older releases; types tell.
	_, err = types.AnyTypeByName("bpf_cgroup_link")
	k.CgroupLinks = err == nil
	return k
}

// named is the kernel by its names alone, which takes no time.
func named() Kernel {
	k := Kernel{Release: "unknown", Machine: "unknown"}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		k.Release, k.Machine = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
	}
	return k
}

// AtLeast compares the release, of which only the first two numbers count.
func (k Kernel) AtLeast(major, minor int) bool {
	var is, was int
	if _, err := fmt.Sscanf(k.Release, "%d.%d", &is, &was); err != nil {
		return false
	}
	return is > major || is == major && was >= minor
}

// SeccompFilter says whether a filter decides about the system calls of this
// process, as in most containers.
func SeccompFilter() (bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(status)) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(mode) == "2", nil
		}
	}
	return false, errors.New("/proc/self/status says nothing about it")
}

// NetClassifier says whether cgroups of version 1 may have classes or priorities
// of traffic (net_cls, net_prio): their controllers are mounted.
func NetClassifier() (bool, error) {
	// A line is a controller, the number of its hierarchy, and more; 0 is none of
	// version 1.
	text, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		return false, err
	}
	return mountsClassifier(string(text)), nil
}

func mountsClassifier(cgroups string) bool {
	for line := range strings.Lines(cgroups) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "net_cls" || f[0] == "net_prio") && f[1] != "0" {
			return true
		}
	}
	return false
}

// HasIPv6 says whether this kernel speaks IPv6 and it is not switched off.
func HasIPv6() bool {
	off, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/disable_ipv6")
	return err == nil && strings.TrimSpace(string(off)) == "0"
}

// Lockdown is the kernel's lockdown: "none", "integrity" or "confidentiality";
// empty where it is not built in.
func Lockdown() (string, error) {
	const folder = "/sys/kernel/security"
	text, err := os.ReadFile(folder + "/lockdown")
	if errors.Is(err, fs.ErrNotExist) {
		var st unix.Statfs_t
		if unix.Statfs(folder, &st) == nil && st.Type == unix.SECURITYFS_MAGIC {
			return "", nil
		}
		return "", errors.New(folder + " is not mounted")
	}
	if err != nil {
		return "", err
	}
	return chosen(string(text))
}

// chosen is the word in brackets: "none [integrity] confidentiality".
func chosen(words string) (string, error) {
	_, rest, begins := strings.Cut(words, "[")
	word, _, ends := strings.Cut(rest, "]")
	if !begins || !ends {
		return "", fmt.Errorf("%q names none", words)
	}
	return word, nil
}
