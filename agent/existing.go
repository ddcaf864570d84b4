package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/agent/words"
)

// existing is the connections that are open at the start and that the run is
// meant for. None of them comes to us; to be affected, it has to be made anew.
type existing struct {
	// left are those that were not reset, by who has them.
	left map[existingGroup]int
	// reset is how many were, unsure how many were not although all should be.
	reset, unsure int
}

// existingGroup is connections of one process to one upstream.
type existingGroup struct {
	holder   procfs.Process // zero if that is not known
	upstream string
}

// untouched is how many connections were left alone; nil if nobody knows.
func (e *existing) untouched() *int {
	if e == nil {
		return nil
	}
	n := 0
	for _, of := range e.left {
		n += of
	}
	return &n
}

// wasReset is how many connections were reset; nil if none should be.
func (e *existing) wasReset(cfg *Config) *int {
	if e == nil || !cfg.ResetExisting {
		return nil
	}
	return &e.reset
}

// groups are those that were left alone, the largest first.
func (e *existing) groups() []existingGroup {
	return slices.SortedFunc(maps.Keys(e.left), func(a, b existingGroup) int {
		return cmp.Or(-cmp.Compare(e.left[a], e.left[b]), cmp.Compare(a.holder.Name, b.holder.Name),
			cmp.Compare(a.holder.PID, b.holder.PID), cmp.Compare(a.upstream, b.upstream))
	})
}

// Of many groups the first are said, to people fewer than to programs.
const (
	shownGroups = 3
	toldGroups  = 64
)

// untouchedFields say what the run does not affect.
func untouchedFields(e *existing) []field {
	open := known(e.untouched())
	f := labelled("untouched", entry{
		text:  open + "connections that are already open; other network namespaces",
		short: open + "open connections",
	})
	if e == nil || len(e.left) == 0 {
		return []field{f}
	}
	return []field{f, groupsField(e)}
}

// groupsField says whose connections they are.
func groupsField(e *existing) field {
	f := field{wideOnly: true}
	groups := e.groups()
	for _, g := range groups[:min(shownGroups, len(groups))] {
		f.entries = append(f.entries, entry{text: fmt.Sprintf("%s of %s to %s", words.Count(e.left[g]), holderText(g.holder), g.upstream)})
	}
	if more := len(groups) - shownGroups; more > 0 {
		f.entries = append(f.entries, entry{text: "and " + words.Counted(more, "more pair")})
	}
	return f
}

func holderText(p procfs.Process) string {
	if p.PID == 0 {
		return "a process that cannot be seen"
	}
	return p.String()
}

// resetField says what --reset-existing did.
func resetField(e *existing) field {
	f := labelled("reset", entry{
		text:  words.Counted(e.reset, "connection") + " that were open, for their programs to make them anew",
		short: words.Counted(e.reset, "open connection"),
	})
	if e.unsure > 0 {
		f.entries = append(f.entries, entry{
			text: fmt.Sprintf("not %s of which it is not certain that programs that are meant here opened them", words.Count(e.unsure)),
		})
	}
	return f
}

// existingEvents are the groups that were left alone.
func existingEvents(e *existing) []event.Existing {
	if e == nil {
		return nil
	}
	var all []event.Existing
	groups := e.groups()
	for _, g := range groups[:min(toldGroups, len(groups))] {
		one := event.Existing{Upstream: g.upstream, N: e.left[g]}
		if g.holder.PID != 0 {
			one.Process = &event.Holder{PID: g.holder.PID, Name: g.holder.Name}
		}
		all = append(all, one)
	}
	return all
}
