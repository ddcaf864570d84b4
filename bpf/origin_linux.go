package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Origin takes what the kernel filed about the connection between client and
// proxy, as the accepted socket names its peer and itself. False means that
// the connection was not diverted: somebody connected to the listener.
func (i *Interception) Origin(netns uint64, client, proxy netip.AddrPort) (Origin, bool, error) {
	key := interceptFlowKey{
		Netns:      netns,
		ClientIp4:  inMemory(client.Addr()),
		ProxyIp4:   inMemory(proxy.Addr()),
		ClientPort: networkOrder(client.Port()),
		ProxyPort:  networkOrder(proxy.Port()),
	}
	var filed interceptOrigin
	if err := i.objs.Origins.Lookup(key, &filed); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return Origin{}, false, nil
		}
		return Origin{}, false, fmt.Errorf("look up the origin of %v: %w", client, err)
	}
	return fromKernel(filed), true, i.take(key, filed.Seq)
}

func fromKernel(o interceptOrigin) Origin {
	dst := netip.AddrFrom16(o.Addr).Unmap()
	origin := Origin{
		Destination: netip.AddrPortFrom(dst, networkOrder(o.Port)),
		PID:         o.Pid,
		TID:         o.Tid,
		UID:         o.Uid,
		Thread:      cString(o.Comm[:]),
		Cgroup:      o.Cgroup,
		Netns:       o.Netns,
		IPv6:        o.Family == unix.AF_INET6,
		Mark:        o.Mark,
		TOS:         o.Tos,
		ByName:      o.ByName != 0,
		Shared:      o.Shared != 0,
	}
	if o.Source != [16]uint8{} {
		origin.Source = netip.AddrFrom16(o.Source).Unmap()
	}
	return origin
}

// take removes an entry and tells the programs, which count the room left.
// If it was held, seq is of its SYN.
func (i *Interception) take(key interceptFlowKey, seq uint32) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.objs.Origins.Delete(key); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		return fmt.Errorf("remove an origin: %w", err)
	}
	key.Seq = seq
	if err := i.objs.Admitted.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget a SYN: %w", err)
	}
	return i.taken.add()
}

// Sweep removes what was filed for connections that their callers closed at
// least grace ago and that never arrived at the listener. It returns how many
// entries remain: connections that are about to arrive.
func (i *Interception) Sweep(grace time.Duration) (int, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	var (
		key     interceptFlowKey
		filed   interceptOrigin
		lost    = make(map[interceptFlowKey]uint32)
		remain  int
		entries = i.objs.Origins.Iterate()
	)
	for entries.Next(&key, &filed) {
		if filed.ClosedAt != 0 && filed.ClosedAt+uint64(grace) <= uint64(now.Nano()) {
			lost[key] = filed.Seq
		} else {
			remain++
		}
	}
	// An iteration that entries were removed under ends early; the next
	// sweep sees the rest.
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return remain, fmt.Errorf("walk through the origins: %w", err)
	}
	for key, seq := range lost {
		if err := i.take(key, seq); err != nil {
			return remain, err
		}
	}
	return remain, nil
}

// inMemory gives a number whose bytes in memory are those of the address.
func inMemory(a netip.Addr) uint32 {
	b := a.As4()
	return binary.NativeEndian.Uint32(b[:])
}

func cString(s []int8) string {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
