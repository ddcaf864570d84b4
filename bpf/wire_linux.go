package bpf

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// order is what an attacher is told. Names and paths need not be UTF-8, as
// strings of JSON have to be.
type order struct {
	Config
	Cgroup                          []byte
	Names, CgroupNames, ExceptNames [][]byte
}

func newOrder(cfg Config) order {
	t := &cfg.Targets
	return order{cfg, []byte(cfg.Cgroup), inBytes(t.Names), inBytes(t.CgroupNames), inBytes(t.ExceptNames)}
}

func (o *order) config() Config {
	o.Config.Cgroup = string(o.Cgroup)
	t := &o.Config.Targets
	t.Names, t.CgroupNames, t.ExceptNames = inStrings(o.Names), inStrings(o.CgroupNames), inStrings(o.ExceptNames)
	return o.Config
}

func inBytes(names []string) [][]byte {
	if names == nil {
		return nil
	}
	out := make([][]byte, len(names))
	for i, name := range names {
		out[i] = []byte(name)
	}
	return out
}

func inStrings(names [][]byte) []string {
	if names == nil {
		return nil
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}

// outcome is what came of it. With it come descriptors: of the shared maps, of
// the links that observe, of those that divert, and of the program that holds
// SYNs.
type outcome struct {
	Err, IPv6         *wireError
	Learns, Follows   *wireError
	Cgroup            string
	Mark              mark
	Taken             uint32 // where origins_taken is in the memory
	Observes, Diverts int
}

func (o *outcome) descriptors() int { return sharedMaps + o.Observes + o.Diverts + 1 }

// sharedMaps is how many maps there are that a run uses.
const sharedMaps = 13

func (i *Interception) shared() [sharedMaps]**ebpf.Map {
	return [...]**ebpf.Map{
		&i.objs.AgentSockets, &i.objs.Origins, &i.objs.Verdicts, &i.objs.Memory, &i.objs.Admitted, &i.objs.Waitings, &i.objs.Rules,
		&i.objs.Resolved, &i.objs.Strangers, &i.objs.Listeners, &i.objs.TargetFiles, &i.objs.TargetPids, &i.objs.TargetCgroups}
}

// send gives away what was attached. Descriptors on their way are closed with
// the socket.
func (i *Interception) send(conn *net.UnixConn) error {
	defer runtime.KeepAlive(i) // whose descriptors are closed with it
	var fds []int
	for _, m := range i.shared() {
		fds = append(fds, (*m).FD())
	}
	for _, l := range slices.Concat(i.observes, i.diverts) {
		l, ok := l.(interface{ FD() int })
		if !ok {
			return errors.New("a link has no descriptor")
		}
		fds = append(fds, l.FD())
	}
	fds = append(fds, i.objs.FaultHold.FD())
	text, err := json.Marshal(outcome{
		IPv6: toWire(i.ipv6), Learns: toWire(i.learns), Follows: toWire(i.follows), Cgroup: i.cgroup, Mark: i.mark, Taken: i.taken.at,
		Observes: len(i.observes), Diverts: len(i.diverts),
	})
	if err != nil {
		return err
	}
	n, _, err := conn.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	return err
}

// received reads from a socket, and keeps the descriptors that come along.
type received struct {
	conn *net.UnixConn
	fds  []int
}

func (r *received) Read(p []byte) (int, error) {
	rights := make([]byte, unix.CmsgSpace(4*32))
	n, used, _, _, err := r.conn.ReadMsgUnix(p, rights)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:used])
	if err != nil {
		return n, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return n, err
		}
		r.fds = append(r.fds, fds...)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// take is the last of the descriptors.
func (r *received) take() int {
	last := len(r.fds) - 1
	fd := r.fds[last]
	r.fds = r.fds[:last]
	return fd
}

// close closes those that are still here.
func (r *received) close() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	r.fds = nil
}
