package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy/upstream"
)

// resolved is the patterns with the addresses of now in the place of names, and
// the addresses of each name, also of others that this host knows. What is below
// a domain nobody can look up.
func resolved(ctx context.Context, r *net.Resolver, set upstream.Set) (upstream.Set, map[string][]netip.Addr, error) {
	var out upstream.Set
	hosts := make(map[string][]netip.Addr)
	for _, p := range set {
		switch {
		case p.Domain != "":
			continue
		case p.Host == "":
			out = append(out, p)
			continue
		}
		addrs, err := lookup(ctx, r, p.Host)
		if err != nil {
			return nil, nil, &SettingError{Flag: "upstream", Value: p.String(), Err: unresolved(err),
				Hint: fmt.Sprintf("`getent hosts %s` shows what this host answers; addresses and CIDRs need no name", p.Host)}
		}
		for _, a := range addrs {
			a = a.Unmap().WithZone("")
			hosts[p.Host] = append(hosts[p.Host], a)
			out = append(out, upstream.Pattern{Prefix: netip.PrefixFrom(a, a.BitLen()), Port: p.Port, Exclude: p.Exclude})
		}
	}
	known := inFile(hostsPath, func(file io.Reader) map[string][]netip.Addr { return hostsOf(set, file) })
	for name, addrs := range known {
		hosts[name] = append(hosts[name], addrs...)
	}
	return out, hosts, nil
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

// rules is the patterns about addresses, for the kernel.
func rules(set upstream.Set) []bpf.Rule {
	var out []bpf.Rule
	for _, p := range set {
		if p.Host == "localhost" { // whatever else this host calls itself
			for _, loopback := range []string{"127.0.0.1/32", "::1/128"} {
				out = append(out, bpf.Rule{Prefix: netip.MustParsePrefix(loopback), Port: p.Port, Exclude: p.Exclude, Loopback: true, DNS: true})
			}
		}
		if p.Host != "" || p.Domain != "" {
			continue
		}
		out = append(out, bpf.Rule{
			Prefix:  p.Prefix,
			Port:    p.Port,
			Exclude: p.Exclude,
			// `*` is not meant to catch what keeps the host itself going,
			// unless that is named.
			Loopback: isLoopback(p.Prefix),
			DNS:      !p.Any || p.Port != 0,
		})
	}
	return out
}

// nameRules is the patterns about names, for the kernel, and in some domains,
// too.
func nameRules(set upstream.Set, domains []string) []bpf.NameRule {
	var out []bpf.NameRule
	for _, p := range set {
		switch {
		case p.Host != "":
			out = append(out, bpf.NameRule{Name: p.Host, Port: p.Port, Exclude: p.Exclude})
			for _, d := range domains {
				if name := p.Host + "." + d; len(name) <= longestName {
					out = append(out, bpf.NameRule{Name: name, Port: p.Port, Exclude: p.Exclude})
				}
			}
		case p.Domain != "":
			out = append(out, bpf.NameRule{Name: p.Domain, Below: true, Port: p.Port, Exclude: p.Exclude})
		}
	}
	return out
}

// longestName bounds a name in DNS.
const longestName = 253

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
