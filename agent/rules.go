package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy/upstream"
)

// resolved is the patterns as the kernel can decide about them. A name becomes
// its addresses of now.
func resolved(ctx context.Context, r *net.Resolver, set upstream.Set) (upstream.Set, error) {
	var out upstream.Set
	for _, p := range set {
		prefixes, err := prefixes(ctx, r, p)
		if err != nil {
			return nil, err
		}
		for _, prefix := range prefixes {
			out = append(out, upstream.Pattern{Any: p.Any, Prefix: prefix, Port: p.Port, Exclude: p.Exclude})
		}
	}
	return out, nil
}

// names is how many of the patterns have to be resolved.
func names(set upstream.Set) int {
	n := 0
	for _, p := range set {
		if p.Host != "" {
			n++
		}
	}
	return n
}

// rules is resolved patterns for the kernel.
func rules(set upstream.Set) []bpf.Rule {
	out := make([]bpf.Rule, len(set))
	for i, p := range set {
		out[i] = bpf.Rule{
			Prefix:  p.Prefix,
			Port:    p.Port,
			Exclude: p.Exclude,
			// `*` is not meant to catch what keeps the host itself going,
			// unless that is named.
			Loopback: isLoopback(p.Prefix),
			DNS:      !p.Any || p.Port != 0,
		}
	}
	return out
}

// prefixes is the addresses of a pattern; the zero prefix is all of them.
func prefixes(ctx context.Context, r *net.Resolver, p upstream.Pattern) ([]netip.Prefix, error) {
	switch {
	case p.Any:
		return []netip.Prefix{{}}, nil
	case p.Prefix.IsValid():
		return []netip.Prefix{p.Prefix}, nil
	case p.Domain != "":
		return nil, &SettingError{"upstream", p.String(), errors.New("names below a domain cannot be told by their addresses"),
			"name the hosts or addresses, or use the explicit proxy alone: `--transparent off`"}
	}
	addrs, err := lookup(ctx, r, p.Host)
	if err != nil {
		return nil, &SettingError{"upstream", p.String(), unresolved(err),
			fmt.Sprintf("`getent hosts %s` shows what this host answers; addresses and CIDRs need no name", p.Host)}
	}
	out := make([]netip.Prefix, len(addrs))
	for i, a := range addrs {
		a = a.Unmap().WithZone("")
		out[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return out, nil
}

// unresolved is what a resolver said without the name, which is known, and who
// was asked.
func unresolved(err error) error {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return err
	case strings.Contains(dns.Err, dns.Server): // which is so if there is none
		return errors.New(dns.Err)
	}
	return fmt.Errorf("%s (asked %s)", dns.Err, strings.TrimSuffix(dns.Server, ":53"))
}

// lookup asks for a name, again for 2 s while the resolver is out of sorts.
func lookup(ctx context.Context, r *net.Resolver, host string) ([]netip.Addr, error) {
	deadline := time.Now().Add(2 * time.Second)
	for {
		addrs, err := r.LookupNetIP(ctx, "ip", host)
		var dns *net.DNSError
		if err == nil || !errors.As(err, &dns) || !dns.Temporary() || time.Now().After(deadline) {
			return addrs, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// isLoopback says whether a prefix names loopback and nothing else.
func isLoopback(p netip.Prefix) bool {
	if !p.IsValid() {
		return false
	}
	if p.Addr().Is4() {
		return p.Addr().IsLoopback() && p.Bits() >= 8 || p.Addr().IsUnspecified() && p.IsSingleIP()
	}
	return p.IsSingleIP() && (p.Addr().IsLoopback() || p.Addr().IsUnspecified())
}
