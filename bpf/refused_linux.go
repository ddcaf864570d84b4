package bpf

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// explicitHint is for what nobody can have on this host.
const explicitHint = "`--transparent off` runs the explicit proxy; `fault check` lists what this kernel has"

// refused turns what the kernel said into a [MissingError] where it means that
// something is not to be had here, and into a [ProgramError] where it means
// that one of us is wrong.
func refused(action string, err error) error {
	err = fmt.Errorf("%s: %w", action, err)
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier) && len(verifier.Log) > 0:
		wrong := programError(err, verifier.Log)
		if hasCapability(unix.CAP_PERFMON) {
			return wrong
		}
		// Before Linux 6.12 the verifier was stricter without it.
		return &MissingError{
			What:  fmt.Sprintf("cap_perfmon is missing, without which this kernel (%s) refuses `%s`", HostKernel().Release, wrong.Program),
			Hint:  "use sudo, or once `" + Setcap + "`, or `--transparent off`",
			Cause: wrong,
		}
	case errors.Is(err, unix.EPERM):
		return notPermitted(err)
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return lacking(HostKernel(), err)
	}
	return err
}

// programError is a refusal in one line: the verifier's last words but for its
// statistics.
func programError(err error, log []string) *ProgramError {
	last := len(log) - 1
	if last > 0 && strings.HasPrefix(log[last], "processed ") {
		last--
	}
	return &ProgramError{
		Program: programIn(err.Error()),
		Reason:  strings.TrimSpace(log[last]),
		Omitted: len(log) - 1,
		Err:     err,
	}
}

// programName finds a program's name in what the library says of it.
var programName = regexp.MustCompile(`\bprogram (?:fault_)?(\w+): `)

func programIn(text string) string {
	if found := programName.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return "unknown"
}

// notPermitted says who may have kept a process from bpf(2) that has the
// capabilities.
func notPermitted(cause error) error {
	e := &MissingError{
		What:  "bpf(2) was refused although cap_bpf is held",
		Hint:  "a security module, or a BPF program on this cgroup that lets no other in, may forbid it; `fault check` tells more",
		Cause: cause,
	}
	if filtered, err := SeccompFilter(); err == nil && filtered {
		e.What += "; a seccomp filter is active"
		e.Hint = "in a container use a profile that allows bpf (`--security-opt seccomp=PROFILE`)"
	} else if lockdown, err := Lockdown(); err == nil && lockdown == "confidentiality" {
		e.What += "; kernel lockdown is `confidentiality`"
		e.Hint = explicitHint
	}
	return e
}

// lacking says what a kernel is too old for.
func lacking(k Kernel, cause error) error {
	if !k.CgroupLinks {
		return &MissingError{
			What:  fmt.Sprintf("this kernel (%s) has no BPF links for cgroups (Linux 5.7 has); a crash would leave connections diverted", k.Release),
			Hint:  explicitHint,
			Cause: cause,
		}
	}
	return &MissingError{
		What: fmt.Sprintf("this kernel (%s) lacks a BPF feature that interception needs (Linux 5.8 has all)", k.Release),
		Hint: explicitHint,
		Err:  cause,
	}
}

// VerifierLog is all that the kernel's verifier said about a program that it
// refused; "" if err is not about that.
func VerifierLog(err error) string {
	var verifier *ebpf.VerifierError
	var told *toldError
	switch {
	case errors.As(err, &verifier):
		return fmt.Sprintf("%+v", verifier)
	case errors.As(err, &told):
		return told.log
	}
	return ""
}
