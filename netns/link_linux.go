package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// maxVeths bounds the search for a free name.
	maxVeths = 1024

	// readyWithin bounds the wait for the kernel's workers, which need well
	// under a millisecond, or up to a second after many changes.
	readyWithin = 5 * time.Second
)

// Veth joins two namespaces by a pair of virtual Ethernet devices, brings both up
// and adds the addresses, which can be used as soon as it returns: IPv6 addresses
// are not checked for duplicates. The device is called vethN in both namespaces,
// with the lowest N that is free in both: veth0 at first. It lasts until either
// namespace ends.
//
// It needs CAP_SYS_ADMIN here and CAP_NET_ADMIN over both namespaces. A kernel
// without veth devices gives an error that wraps syscall.EOPNOTSUPP. On an error
// nothing has changed.
func Veth(a, b *NS, aAddrs, bAddrs []netip.Prefix) error {
	if err := veth(a, b, aAddrs, bAddrs); err != nil {
		return fmt.Errorf("join network namespaces: %w", err)
	}
	return nil
}

func veth(a, b *NS, aAddrs, bAddrs []netip.Prefix) error {
	if a.inode == b.inode {
		return errors.New("both are the same")
	}
	dev, err := a.addVeth(b)
	if err != nil {
		return err
	}
	err = each(
		func() error { return a.setUp(dev) },
		func() error { return b.setUp(dev) },
		func() error { return a.waitUp(dev) },
		func() error { return b.waitUp(dev) },
		func() error { return a.addAddrs(dev, aAddrs) },
		func() error { return b.addAddrs(dev, bAddrs) },
	)
	if err != nil {
		return errors.Join(err, a.deleteLink(dev))
	}
	return nil
}

func each(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// AddAddr adds p to the device dev, for example 192.0.2.10/32 to lo. If the
// device carries packets, the address can be used as soon as AddAddr returns: an
// IPv6 address is not checked for duplicates. It needs CAP_NET_ADMIN over the
// namespace, and what Do needs.
func (ns *NS) AddAddr(dev string, p netip.Prefix) error {
	return ns.addAddrs(dev, []netip.Prefix{p})
}

// AddDefaultRoute sends what no other route covers to the router gw, which must
// be reachable through dev. It needs what AddAddr needs.
func (ns *NS) AddDefaultRoute(dev string, gw netip.Addr) error {
	return ns.onLink(dev, func(h *netlink.Handle, l netlink.Link) error {
		err := h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: gw.AsSlice()})
		if err != nil {
			return fmt.Errorf("add default route by %s on %s: %w", gw, dev, err)
		}
		return nil
	})
}

func (ns *NS) setUp(dev string) error {
	return ns.onLink(dev, func(h *netlink.Handle, l netlink.Link) error {
		if err := h.LinkSetUp(l); err != nil {
			return fmt.Errorf("set %s up: %w", dev, err)
		}
		return nil
	})
}

// waitUp waits until dev carries packets. The end of a pair that was brought up
// first learns of the other from a kernel worker, and drops packets till then.
func (ns *NS) waitUp(dev string) error {
	return ns.onLink(dev, func(h *netlink.Handle, l netlink.Link) error {
		if !eventually(func() bool { return isUp(h, l) }) {
			return fmt.Errorf("set %s up: still down after %s", dev, readyWithin)
		}
		return nil
	})
}

func isUp(h *netlink.Handle, l netlink.Link) bool {
	now, err := h.LinkByIndex(l.Attrs().Index)
	return err == nil && now.Attrs().OperState == netlink.OperUp
}

// eventually polls ok and reports whether it held in time.
func eventually(ok func() bool) bool {
	for end := time.Now().Add(readyWithin); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// addVeth makes a veth pair whose ends are in ns and peer and returns the name
// that both have.
func (ns *NS) addVeth(peer *NS) (dev string, err error) {
	err = ns.withNetlink(func(h *netlink.Handle) error {
		return control(peer.file, func(fd int) error {
			for n := range maxVeths {
				dev = fmt.Sprintf("veth%d", n)
				link := &netlink.Veth{
					LinkAttrs:     netlink.NewLinkAttrs(),
					PeerName:      dev,
					PeerNamespace: netlink.NsFd(fd),
				}
				link.Name = dev
				if err := h.LinkAdd(link); !errors.Is(err, syscall.EEXIST) {
					return err
				}
			}
			return fmt.Errorf("%d are there already", maxVeths)
		})
	})
	if err != nil {
		return "", fmt.Errorf("make veth pair: %w", err)
	}
	return dev, nil
}

func (ns *NS) deleteLink(dev string) error {
	return ns.onLink(dev, func(h *netlink.Handle, l netlink.Link) error {
		if err := h.LinkDel(l); err != nil {
			return fmt.Errorf("delete %s: %w", dev, err)
		}
		return nil
	})
}

func (ns *NS) addAddrs(dev string, addrs []netip.Prefix) error {
	return ns.onLink(dev, func(h *netlink.Handle, l netlink.Link) error {
		for _, p := range addrs {
			if err := addAddr(h, l, p); err != nil {
				return fmt.Errorf("add address %s to %s: %w", p, dev, err)
			}
		}
		return nil
	})
}

func addAddr(h *netlink.Handle, l netlink.Link, p netip.Prefix) error {
	if !p.IsValid() {
		return syscall.EINVAL
	}
	ip := net.IP(p.Addr().AsSlice())
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(p.Bits(), len(ip)*8)}}
	if p.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := h.AddrAdd(l, addr); err != nil {
		return err
	}
	// Even unchecked, an IPv6 address waits for a kernel worker before packets
	// to it are taken, and on a device that carries none it waits for that.
	const running = unix.IFF_UP | unix.IFF_RUNNING
	if l.Attrs().RawFlags&running == running && !eventually(func() bool { return isLocal(h, ip) }) {
		return fmt.Errorf("still not in use after %s", readyWithin)
	}
	return nil
}

// isLocal reports whether packets to ip are taken as this namespace's own.
func isLocal(h *netlink.Handle, ip net.IP) bool {
	routes, err := h.RouteGet(ip)
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// onLink runs f with a netlink handle inside the namespace and the device dev.
func (ns *NS) onLink(dev string, f func(*netlink.Handle, netlink.Link) error) error {
	return ns.withNetlink(func(h *netlink.Handle) error {
		l, err := h.LinkByName(dev)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			err = syscall.ENODEV
		}
		if err != nil {
			return fmt.Errorf("find %s: %w", dev, err)
		}
		return f(h, l)
	})
}

// withNetlink runs f inside the namespace with a netlink handle that ends with it.
func (ns *NS) withNetlink(f func(*netlink.Handle) error) error {
	return ns.Do(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink socket: %w", err)
		}
		defer h.Close()
		return f(h)
	})
}
