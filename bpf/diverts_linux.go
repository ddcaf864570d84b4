package bpf

import "net/netip"

// ruleMap is what the kernel's trie holds.
type ruleMap map[interceptRuleKey]interceptRuleFlags

// Diverts gives a function that says whether a connect to a destination is
// diverted, as far as the rules and the destination decide it: what the
// programs would say.
func Diverts(rules []Rule) func(to netip.AddrPort) bool {
	table := ruleTable(rules)
	return func(to netip.AddrPort) bool {
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
		flags, addr := table.flags(to), to.Addr()
		switch {
		case flags&interceptRuleFlagsRULE_EXCLUDE != 0, flags&interceptRuleFlagsRULE_INTERCEPT == 0:
			return false
		case (addr.IsLoopback() || addr.IsUnspecified()) && flags&interceptRuleFlagsRULE_LOOPBACK == 0:
			return false
		case to.Port() == dnsPort && flags&interceptRuleFlagsRULE_DNS == 0:
			return false
		}
		return addr.Is4() || !addr.IsLinkLocalUnicast()
	}
}

const dnsPort = 53

// flags is what the two look-ups of the programs give together.
func (m ruleMap) flags(to netip.AddrPort) interceptRuleFlags {
	return m.longest(to.Addr(), to.Port()) | m.longest(to.Addr(), 0)
}

// longest finds the longest prefix for a port that has the address in it.
func (m ruleMap) longest(addr netip.Addr, port uint16) interceptRuleFlags {
	for bits := 128; bits >= 0; bits-- {
		prefix := netip.PrefixFrom(netip.AddrFrom16(addr.As16()), bits).Masked()
		key := interceptRuleKey{Prefixlen: uint32(16 + bits), Port: networkOrder(port), Addr: prefix.Addr().As16()}
		if flags, ok := m[key]; ok {
			return flags
		}
	}
	return 0
}
