package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// Holder has SYNs wait at a listener. Its methods may be called from several
// goroutines at once, but for Next, which is for one.
type Holder struct {
	i        *Interception
	listener syscall.RawConn
	waiting  *ringbuf.Reader
}

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

// openRaw opens the socket by which SYNs are answered. It sends whole IPv4
// packets and receives none (raw(7)).
func openRaw() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = nil
		}
		return nil, &MissingError{What: "cap_net_raw is missing", Hint: Setcap, Err: err}
	}
	return os.NewFile(uintptr(fd), "raw socket"), nil
}

// Holds is nil if SYNs can be held, else why not. That takes CAP_NET_RAW when
// the programs are attached.
func (i *Interception) Holds() error { return i.holds }

// Hold has the SYNs of diverted connections wait at the listener, which is the
// one of [Interception.Serve], until they are answered. The caller closes the
// holder before the interception.
func (i *Interception) Hold(listener syscall.Conn) (*Holder, error) {
	if i.holds != nil {
		return nil, i.holds
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	waiting, err := ringbuf.NewReader(i.objs.Waitings)
	if err != nil {
		return nil, fmt.Errorf("wait for SYNs: %w", err)
	}
	err = control(raw, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, i.objs.FaultHold.FD())
	})
	if err != nil {
		waiting.Close()
		return nil, fmt.Errorf("filter what arrives at the listener: %w", err)
	}
	return &Holder{i: i, listener: raw, waiting: waiting}, nil
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
	return h.send(synOf(held.packet), held.Proxy)
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
func (h *Holder) Refuse(held *Held) error { return h.send(resetOf(held.packet), held.Client) }

// Unreachable has connect(2) fail as a router can: by ICMP's "destination
// unreachable" (RFC 792) with code 0, which is ENETUNREACH, or 1, which is
// EHOSTUNREACH.
func (h *Holder) Unreachable(held *Held, code uint8) error {
	return h.send(unreachableOf(held.packet, code), held.Client)
}

func (h *Holder) send(packet []byte, to netip.AddrPort) error {
	err := unix.Sendto(int(h.i.raw.Fd()), packet, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()})
	if err != nil {
		return fmt.Errorf("answer a SYN: %w", err)
	}
	return nil
}

// Close ends the holding. What is held is let in when its caller sends it
// again.
func (h *Holder) Close() error {
	err := control(h.listener, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	})
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ENOENT) {
		err = nil // the filter has gone, with the listener or before
	}
	return errors.Join(err, h.waiting.Close())
}

// fromMemory is the inverse of inMemory and networkOrder.
func fromMemory(addr uint32, port uint16) netip.AddrPort {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], addr)
	return netip.AddrPortFrom(netip.AddrFrom4(b), networkOrder(port))
}
