package bpf

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark is how other agents know our sockets. Its values are in seconds, and a
// SO_PRIORITY.
type mark struct{ Keepalive, Priority uint32 }

// Serve diverts from now on what the rules name in the listener's network
// namespace, whose inode is netns, to the listener.
func (i *Interception) Serve(listener syscall.Conn, netns uint64) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	return i.tag(raw, netns)
}

// Pause diverts nothing more to the listener, until Serve is called again.
// Connections that were diverted before stay what they are.
func (i *Interception) Pause(listener syscall.Conn) error { return i.Serve(listener, 0) }

// Exempt makes a socket of the agent that is not yet connected one that
// neither this agent diverts nor another. It has the form of net.Dialer's
// Control. The dialer must leave keepalive alone.
func (i *Interception) Exempt(network, _ string, c syscall.RawConn) error {
	if err := i.tag(c, 0); err != nil {
		return err
	}
	if !strings.HasPrefix(network, "tcp") {
		return nil // is never diverted
	}
	return control(c, i.mark.put)
}

// put marks a TCP socket.
func (m mark) put(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(m.Keepalive)); err != nil {
		return err
	}
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, int(m.Priority))
	if errors.Is(err, unix.EPERM) { // the other one has to do
		return nil
	}
	return err
}

func (i *Interception) tag(c syscall.RawConn, netns uint64) error {
	err := control(c, func(fd int) error { return i.objs.AgentSockets.Put(uint32(fd), netns) })
	if err != nil {
		return fmt.Errorf("mark a socket as the agent's: %w", err)
	}
	return nil
}

func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
