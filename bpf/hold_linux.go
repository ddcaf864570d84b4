package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Holder has SYNs wait at listeners. Its methods may be called from several
// goroutines at once, but for Next, which is for one.
type Holder struct {
	i       *Interception
	waiting *ringbuf.Reader

	mu sync.Mutex
	at map[uint64]station // by the inodes of network namespaces
}

// station is what SYNs of a network namespace are held at and answered by.
type station struct {
	listener syscall.RawConn
	cookie   uint64 // of the listener's socket
	raw      *Raw
}

// Raw is a socket by which SYNs are answered in the network namespace in which
// it was opened.
type Raw struct{ file *os.File }

// Held is a SYN that began to wait, or one whose caller has gone.
type Held struct {
	// Client and Proxy are where it came from, and the listener's address.
	Client, Proxy netip.AddrPort
	// Gone says that the caller has given up; nothing else is known then.
	Gone bool
	// Origin is what was filed. It is there to be taken until the connection
	// is accepted.
	Origin Origin

	key    interceptFlowKey
	packet []byte
}

// Netns is the inode of the network namespace that it is in.
func (h *Held) Netns() uint64 { return h.key.Netns }

// OpenRaw opens a socket in the network namespace of the calling thread. That
// takes CAP_NET_RAW; without it the error is [ErrMissing]. The caller closes it.
func OpenRaw() (*Raw, error) {
	// It sends whole IPv4 packets and receives none (raw(7)).
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = nil
		}
		return nil, &MissingError{What: "cap_net_raw is missing", Hint: Setcap, Err: err}
	}
	return &Raw{os.NewFile(uintptr(fd), "raw socket")}, nil
}

// Close closes the socket.
func (r *Raw) Close() error { return r.file.Close() }

// Holder gives one that holds nothing yet. The caller closes it before the
// interception.
func (i *Interception) Holder() (*Holder, error) {
	waiting, err := ringbuf.NewReader(i.objs.Waitings)
	if err != nil {
		return nil, fmt.Errorf("wait for SYNs: %w", err)
	}
	return &Holder{i: i, waiting: waiting, at: make(map[uint64]station)}, nil
}

// Hold has the SYNs of diverted connections wait at a listener of
// [Interception.Serve] until they are answered, by the raw socket, which is of
// the same network namespace: netns is its inode. The caller keeps both open
// until [Holder.Leave] or [Holder.Close].
func (h *Holder) Hold(listener syscall.Conn, netns uint64, raw *Raw) error {
	conn, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	s := station{listener: conn, raw: raw}
	err = control(conn, func(fd int) (err error) {
		s.cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		return err
	})
	if err == nil {
		err = h.i.objs.Listeners.Put(s.cookie, netns)
	}
	if err != nil {
		return fmt.Errorf("tell the programs of a listener: %w", err)
	}
	err = control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, h.i.objs.FaultHold.FD())
	})
	if err != nil {
		return fmt.Errorf("filter what arrives at a listener: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at[netns] = s
	return nil
}

// Leave ends the holding in a network namespace. What is held there is let in
// when its caller sends it again.
func (h *Holder) Leave(netns uint64) error {
	h.mu.Lock()
	s, held := h.at[netns]
	delete(h.at, netns)
	h.mu.Unlock()
	if !held {
		return nil
	}
	err := control(s.listener, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	})
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ENOENT) {
		err = nil // the filter has gone, with the listener or before
	}
	return errors.Join(err, h.i.objs.Listeners.Delete(s.cookie))
}

// Next waits for the next SYN. The error is os.ErrClosed after Close.
func (h *Holder) Next() (Held, error) {
	for {
		r, err := h.waiting.Read()
		if err != nil {
			return Held{}, err
		}
		held, err := h.read(r.RawSample)
		if err == nil || !errors.Is(err, ebpf.ErrKeyNotExist) {
			return held, err
		}
		// Its caller has gone already, which is told next.
	}
}

func (h *Holder) read(sample []byte) (Held, error) {
	var w interceptWaiting
	if len(sample) < int(unsafe.Sizeof(w)) {
		return Held{}, fmt.Errorf("%d bytes tell of a SYN", len(sample))
	}
	w = *(*interceptWaiting)(unsafe.Pointer(unsafe.SliceData(sample)))
	held := Held{
		Client: fromMemory(w.Key.ClientIp4, w.Key.ClientPort), Proxy: fromMemory(w.Key.ProxyIp4, w.Key.ProxyPort),
		Gone: w.Gone, key: w.Key, packet: append([]byte(nil), w.Packet[:min(int(w.Length), len(w.Packet))]...),
	}
	if w.Gone {
		return held, nil
	}
	key := w.Key
	key.Seq = 0
	var filed interceptOrigin
	if err := h.i.objs.Origins.Lookup(key, &filed); err != nil {
		return Held{}, err
	}
	held.Origin = fromKernel(filed)
	return held, nil
}

// Admit lets a connection in: the listener accepts it.
func (h *Holder) Admit(held *Held) error {
	if err := h.i.objs.Admitted.Put(held.key, uint8(1)); err != nil {
		return fmt.Errorf("admit a SYN: %w", err)
	}
	// If this one gets lost the caller sends it again.
	return h.send(held, synOf(held.packet), held.Proxy)
}

// Withdraw forgets that a connection was admitted, which did not come. The
// caller may have gone before [Holder.Admit], when there was nothing to forget.
func (h *Holder) Withdraw(held *Held) error {
	if err := h.i.objs.Admitted.Delete(held.key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("withdraw what was admitted: %w", err)
	}
	return nil
}

// Refuse has connect(2) fail with ECONNREFUSED, as a closed port does.
func (h *Holder) Refuse(held *Held) error { return h.send(held, resetOf(held.packet), held.Client) }

// Unreachable has connect(2) fail as a router can: by ICMP's "destination
// unreachable" (RFC 792) with code 0, which is ENETUNREACH, or 1, which is
// EHOSTUNREACH.
func (h *Holder) Unreachable(held *Held, code uint8) error {
	return h.send(held, unreachableOf(held.packet, code), held.Client)
}

func (h *Holder) send(held *Held, packet []byte, to netip.AddrPort) error {
	h.mu.Lock()
	s, ok := h.at[held.Netns()]
	h.mu.Unlock()
	if !ok {
		return fmt.Errorf("answer a SYN: %w", net.ErrClosed)
	}
	if err := s.raw.send(packet, to.Addr()); err != nil {
		return fmt.Errorf("answer a SYN: %w", err)
	}
	return nil
}

func (r *Raw) send(packet []byte, to netip.Addr) error {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, func(fd int) error {
		return unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: to.As4()})
	})
}

// Close ends the holding everywhere, as Leave does.
func (h *Holder) Close() error {
	h.mu.Lock()
	stations := slices.Collect(maps.Keys(h.at))
	h.mu.Unlock()
	var err error
	for _, netns := range stations {
		err = errors.Join(err, h.Leave(netns))
	}
	return errors.Join(err, h.waiting.Close())
}

// fromMemory is the inverse of inMemory and networkOrder.
func fromMemory(addr uint32, port uint16) netip.AddrPort {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], addr)
	return netip.AddrPortFrom(netip.AddrFrom4(b), networkOrder(port))
}
