package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// nameTable is what the kernel's maps hold for the name rules.
type nameTable struct {
	rules    []NameRule
	entries  map[interceptNameKey]uint32 // outcomes
	outcomes []nameOutcome
}

// nameOutcome is what all rules together say about a name: which ports they
// include and exclude. Both are in order.
type nameOutcome struct{ include, exclude []uint16 }

// outcomesMax is OUTCOMES_MAX of names.h.
const outcomesMax = len(interceptOutcomes{}.Has)

func newNameTable(rules []NameRule) (nameTable, error) {
	t := nameTable{rules: slices.Clone(rules), entries: make(map[interceptNameKey]uint32)}
	for i := range t.rules {
		t.rules[i].Name = inDNS(t.rules[i].Name)
	}
	for _, r := range t.rules {
		o := t.about(r.Name, r.Below)
		n := t.find(o)
		if n < 0 {
			n = len(t.outcomes)
			t.outcomes = append(t.outcomes, o)
		}
		t.entries[nameKey(r.Name, r.Below)] = uint32(n)
	}
	if len(t.outcomes) > outcomesMax {
		return t, fmt.Errorf("the ports of names differ in more than %d ways", outcomesMax)
	}
	return t, nil
}

// about is what the rules say about a name, or about all names below it that
// have no rules of their own.
func (t *nameTable) about(name string, below bool) nameOutcome {
	var o nameOutcome
	for _, r := range t.rules {
		switch {
		case r.Below && strings.HasSuffix(name, "."+r.Name):
		case r.Below == below && r.Name == name:
		default:
			continue
		}
		if r.Exclude {
			o.exclude = append(o.exclude, r.Port)
		} else {
			o.include = append(o.include, r.Port)
		}
	}
	for _, ports := range []*[]uint16{&o.include, &o.exclude} {
		slices.Sort(*ports)
		*ports = slices.Compact(*ports)
	}
	return o
}

// find is the number of an outcome, -1 if no rule has it.
func (t *nameTable) find(o nameOutcome) int {
	return slices.IndexFunc(t.outcomes, func(have nameOutcome) bool {
		return slices.Equal(have.include, o.include) && slices.Equal(have.exclude, o.exclude)
	})
}

// ports is the outcomes of each port that is named, and of 0 for all others.
func (t *nameTable) ports() map[uint16]interceptPortOutcomes {
	all := map[uint16]interceptPortOutcomes{0: {}}
	for _, r := range t.rules {
		all[r.Port] = interceptPortOutcomes{}
	}
	has := func(ports []uint16, port uint16) bool {
		return slices.Contains(ports, 0) || slices.Contains(ports, port)
	}
	for port, p := range all {
		for n, o := range t.outcomes {
			switch {
			case has(o.exclude, port):
				p.Exclude.Has[n] = 1
			case has(o.include, port):
				p.Include.Has[n] = 1
			}
		}
		all[port] = p
	}
	return all
}

// inDNS is a name as DNS compares it.
func inDNS(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// nameKey is the key of a name, or of all names below it. The name is one that
// DNS could have, without a dot at its end.
func nameKey(name string, below bool) interceptNameKey {
	var key interceptNameKey
	n := min(len(name), len(key.Name)-1)
	for i := range n {
		key.Name[i] = name[len(name)-1-i]
	}
	if below {
		key.Name[n] = '.'
	}
	key.Prefixlen = uint32(n+1) * 8
	return key
}

// setNames tells the programs about names, or makes them as small as may be.
func (i *Interception) setNames(spec *ebpf.CollectionSpec) error {
	if len(i.names.entries) == 0 {
		for _, name := range []string{interceptMapNames, interceptMapNamePorts, interceptMapResolved, interceptMapLearnt, interceptMapStrangers} {
			spec.Maps[name].MaxEntries = 1
		}
	}
	if len(i.names.entries) == 0 || i.learns != nil {
		spec.Programs[interceptProgFaultLearn].Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}
	}
	return spec.Variables[interceptVarByName].Set(len(i.names.entries) > 0)
}

// deaf is why programs do not learn from DNS answers, if that is why they could
// not be loaded; nil for any other reason, and for none.
func deaf(err error) error {
	var verifier *ebpf.VerifierError
	if !errors.As(err, &verifier) || programIn(err.Error()) != "learn" {
		return nil
	}
	return programError(err, append([]string{"nothing"}, verifier.Log...))
}

// fillNames gives the maps what is in them from the start.
func (i *Interception) fillNames() error {
	for key, outcome := range i.names.entries {
		if err := i.objs.Names.Put(key, outcome); err != nil {
			return fmt.Errorf("put a name: %w", err)
		}
	}
	if len(i.names.entries) == 0 {
		return nil
	}
	for port, outcomes := range i.names.ports() {
		if err := i.objs.NamePorts.Put(networkOrder(port), outcomes); err != nil {
			return fmt.Errorf("put a port of names: %w", err)
		}
	}
	return nil
}

// Learns is nil if the addresses of names are learnt from DNS answers, or no
// [Config.Names] ask for that, else why not.
func (i *Interception) Learns() error { return i.learns }

// SetAddresses says that a name has addresses, beside those that it had
// before: programs go on using them. Those of a name that no rule names tell
// that an address is shared. It is for one goroutine.
func (i *Interception) SetAddresses(name string, addrs []netip.Addr) error {
	if len(i.names.entries) == 0 {
		return nil
	}
	o := i.names.about(inDNS(name), false)
	n := i.names.find(o)
	for _, a := range addrs {
		key := a.WithZone("").As16()
		if n < 0 {
			if len(o.include) > 0 || len(o.exclude) > 0 {
				return fmt.Errorf("nobody has said what %s means", name)
			}
			if err := i.objs.Strangers.Put(key, uint8(1)); err != nil {
				return fmt.Errorf("put an address: %w", err)
			}
			continue
		}
		var outcomes interceptOutcomes
		if err := i.objs.Resolved.Lookup(key, &outcomes); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("look for an address: %w", err)
		}
		outcomes.Has[n] = 1
		if err := i.objs.Resolved.Put(key, outcomes); err != nil {
			return fmt.Errorf("put an address: %w", err)
		}
	}
	return nil
}
