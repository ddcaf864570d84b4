package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// listen opens the one socket of the demo. Its errors say `listen on ADDRESS: cause` and wrap the cause.
func listen(ctx context.Context, host string, port uint16) (net.Listener, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	network := "tcp"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		// Under "tcp", Go takes 0.0.0.0 for both families and the socket would show up as [::].
		network = "tcp4"
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	ln, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, bareCause(err))
	}
	return ln, nil
}

// bareCause takes off what net puts around an error and the caller says better: operation, network, address, syscall.
func bareCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}

// reachable is where this host reaches a listener bound to that address: a wildcard is no destination everywhere.
func reachable(bound netip.AddrPort) netip.AddrPort {
	switch bound.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), bound.Port())
	}
	return bound
}

// webURL is the address as an http URL without path; url.URL writes an IPv6 zone the way URLs want it.
func webURL(address netip.AddrPort) string {
	return (&url.URL{Scheme: "http", Host: address.String()}).String()
}
