package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/procfs"
)

// ListenError is an address that cannot be listened at.
type ListenError struct {
	Address string
	// Mapping is the mapping that it is of; empty for the proxy's own.
	Mapping string
	// Netns is the network namespace that it is in; empty for our own.
	Netns string
	// Taken says that another socket is there, and Holder who has it, if that
	// is known.
	Taken  bool
	Holder procfs.Process
	// Agent says that the holder is another run.
	Agent bool
	Err   error
}

// listenError finds out who has the address, if somebody has.
func listenError(ctx context.Context, network, address, mapping string, err error) *ListenError {
	e := &ListenError{Address: address, Mapping: mapping, Err: err}
	var op *net.OpError
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &op) {
		return e
	}
	sockets, err := procfs.Sockets(network)
	if err != nil {
		return e
	}
	for _, s := range sockets {
		if !s.Takes(addrPort(op.Addr)) {
			continue
		}
		e.Taken = true
		if holder, ok := procfs.HolderOf(s); ok {
			e.Holder = holder
			e.Agent = isAgent(ctx, holder)
			break
		}
	}
	return e
}

// isAgent says whether a process is another run.
func isAgent(ctx context.Context, p procfs.Process) bool {
	agents, err := control.Agents(ctx)
	return err == nil && p.PID != os.Getpid() &&
		slices.ContainsFunc(agents, func(a control.Peer) bool { return a.PID == p.PID })
}

// Error names the address, and who has it or what the kernel said.
func (e *ListenError) Error() string {
	where := e.Address
	if e.Netns != "" {
		where += " in the network namespace " + e.Netns
	}
	text := fmt.Sprintf("cannot listen on %s: %s", where, e.why())
	if e.Mapping != "" {
		text = fmt.Sprintf("--proxy `%s`: %s", e.Mapping, text)
	}
	return text
}

func (e *ListenError) why() string {
	var op *net.OpError
	switch {
	case e.Taken && e.Holder.PID == os.Getpid():
		return "in use by this run itself"
	case e.Taken && e.Holder.PID != 0:
		return "in use by " + e.Holder.String()
	case e.Taken:
		return "in use by a process that this user may not see"
	case errors.As(e.Err, &op):
		return op.Err.Error()
	}
	return e.Err.Error()
}

// Unwrap gives what the kernel said.
func (e *ListenError) Unwrap() error { return e.Err }
