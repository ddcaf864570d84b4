package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// ruleTable is what the kernel's trie holds for the rules. The trie finds the
// longest prefix for a port and, in a second look-up, for any port. An
// excluded destination must stay so although an inclusion within it has a
// longer prefix; such inclusions are left out, and then whatever either
// look-up finds is the truth.
func ruleTable(rules []Rule) ruleMap {
	table := make(ruleMap)
	rules = withoutMapped(rules)
	for _, r := range rules {
		if !r.Exclude && slices.ContainsFunc(rules, func(e Rule) bool { return e.Exclude && e.covers(r) }) {
			continue
		}
		prefix := mapped(r.Prefix)
		key := interceptRuleKey{
			Prefixlen: 16 + uint32(prefix.Bits()),
			Port:      networkOrder(r.Port),
			Addr:      prefix.Addr().As16(),
		}
		table[key] |= r.flags()
	}
	return table
}

// withoutMapped splits the IPv6 prefixes that are short enough to hold the
// mapped form of IPv4, which they do not mean, into those around it.
func withoutMapped(rules []Rule) []Rule {
	ipv4 := netip.MustParsePrefix("::ffff:0:0/96")
	var out []Rule
	for _, r := range rules {
		if !r.Prefix.IsValid() || r.Prefix.Addr().Is4() || r.Prefix.Bits() >= ipv4.Bits() || !r.Prefix.Contains(ipv4.Addr()) {
			out = append(out, r)
			continue
		}
		for bits := r.Prefix.Bits() + 1; bits <= ipv4.Bits(); bits++ {
			sibling := ipv4.Addr().As16()
			sibling[(bits-1)/8] ^= 0x80 >> ((bits - 1) % 8)
			r.Prefix = netip.PrefixFrom(netip.AddrFrom16(sibling), bits).Masked()
			out = append(out, r)
		}
	}
	return out
}

func (r Rule) flags() interceptRuleFlags {
	if r.Exclude {
		return interceptRuleFlagsRULE_EXCLUDE
	}
	flags := interceptRuleFlagsRULE_INTERCEPT
	if r.Loopback {
		flags |= interceptRuleFlagsRULE_LOOPBACK
	}
	if r.DNS {
		flags |= interceptRuleFlagsRULE_DNS
	}
	return flags
}

// covers says whether every destination that other names is named by r.
func (r Rule) covers(other Rule) bool {
	outer, inner := mapped(r.Prefix), mapped(other.Prefix)
	return (r.Port == 0 || r.Port == other.Port) &&
		outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// mapped gives a prefix among 16-byte addresses, IPv4 as the mapped ones.
func mapped(p netip.Prefix) netip.Prefix {
	if !p.IsValid() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return netip.PrefixFrom(netip.AddrFrom16(p.Addr().As16()), bits).Masked()
}

// networkOrder gives a number whose bytes in memory are in network order.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
