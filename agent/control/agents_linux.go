package control

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// namePrefix begins the name of every agent's socket.
const namePrefix = "fault-agent-"

// listening is a line of /proc/net/unix about the socket of an agent that
// listens. Sockets of its connections have the same name, but other flags.
var listening = regexp.MustCompile(`^[0-9A-Fa-f]+: [0-9A-F]+ 00000000 00010000 0001 01 +[0-9]+ @(` +
	namePrefix + `([1-9][0-9]{0,9})-[0-9a-f]{8})$`)

// Agents are those of this network namespace, by [Peer.ID].
func Agents(ctx context.Context) ([]Peer, error) {
	names, err := names()
	if err != nil {
		return nil, err
	}
	var peers []Peer
	for name, own := range names {
		p := Peer{Own: own, UID: -1, name: name}
		conn, err := p.dial(ctx)
		if err == nil {
			conn.Close()
		} else if Is(err, Ended) {
			continue
		}
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(a.ID(), b.ID()), cmp.Compare(a.name, b.name))
	})
	return peers, ctx.Err()
}

// names are those of agents' sockets, with the pid that is part of each. Who
// takes such a name need not be an agent.
func names() (map[string]int, error) {
	// Not that of the process: its threads may be in several namespaces.
	file, err := os.Open("/proc/thread-self/net/unix")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names := make(map[string]int)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		m := listening.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if own, err := strconv.ParseInt(m[2], 10, 32); err == nil {
			names[m[1]] = int(own)
		}
	}
	return names, lines.Err()
}

// dial connects, and sees who listens. An agent that does not accept, such as
// a stopped one, can be connected to as long as its queue has room.
func (p *Peer) dial(ctx context.Context) (*net.UnixConn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", "@"+p.name)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return nil, &Error{Ended, "has ended"}
	case errors.Is(err, unix.EAGAIN):
		return nil, &Error{NoAnswer, "does not answer, and many wait for it"}
	case err != nil:
		return nil, err
	}
	conn := c.(*net.UnixConn)
	who, err := credentials(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	p.PID, p.UID = int(who.Pid), int(who.Uid)
	return conn, nil
}

// Gone waits until the agent has closed its socket.
func (p Peer) Gone(ctx context.Context) error {
	for {
		names, err := names()
		if err != nil {
			return err
		}
		if _, there := names[p.name]; !there {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
