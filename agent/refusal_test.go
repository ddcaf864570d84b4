package agent

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/bpf"
)

// TestRefusedProgram ends the run in any mode: it is a bug, not this host.
func TestRefusedProgram(t *testing.T) {
	refused := &bpf.ProgramError{Program: "connect4", Reason: "R0 \x1b[31m!read_ok", Omitted: 41}
	for _, mode := range []Transparent{Auto, On} {
		i := &interception{wanted: true}
		err := i.refused(&Config{Transparent: mode, Log: zap.NewNop()}, fmt.Errorf("%w", refused))
		var intercept *InterceptError
		const want = "cannot intercept: the kernel refused our program `connect4`: R0 ?[31m!read_ok (41 lines omitted)"
		const hint = "this is a bug in fault or the kernel: please report `fault check --json` and the log of `fault --log-level debug run …`"
		if !errors.As(err, &intercept) || err.Error() != want || intercept.Hint != hint {
			t.Errorf("%s: %v, want %s", mode, err, want)
		}
	}
}

func TestUnresolved(t *testing.T) {
	for want, err := range map[string]error{
		"no such host (asked 127.0.0.53)":      &net.DNSError{Err: "no such host", Name: "x", Server: "127.0.0.53:53"},
		"no such host (asked 127.0.0.53:5353)": &net.DNSError{Err: "no such host", Name: "x", Server: "127.0.0.53:5353"},
		"no such host":                         &net.DNSError{Err: "no such host", Name: "x"},
		"dial udp 10.0.0.1:53: i/o timeout":    &net.DNSError{Err: "dial udp 10.0.0.1:53: i/o timeout", Server: "10.0.0.1:53"},
		"context canceled":                     errors.New("context canceled"),
	} {
		if got := unresolved(err); got.Error() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestListenErrorNamesTheHolder(t *testing.T) {
	inUse := &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}
	for want, e := range map[string]ListenError{
		"cannot listen on a:1: in use by nginx[1184]":                          {Taken: true, Holder: procfs.Process{PID: 1184, Name: "nginx"}},
		"cannot listen on a:1: in use by a process that this user may not see": {Taken: true},
		"cannot listen on a:1: address already in use":                         {},
		"--proxy `a:1=b:2`: cannot listen on a:1: in use by n?x[1]":            {Mapping: "a:1=b:2", Taken: true, Holder: procfs.Process{PID: 1, Name: "n\nx"}},
	} {
		e.Address, e.Err = "a:1", inUse
		if got := e.Error(); got != want || !errors.Is(&e, syscall.EADDRINUSE) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
