package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// check says why nobody can have a name; nil if somebody can.
func (t *Targets) check() error {
	for _, names := range [][]string{t.Names, t.CgroupNames, t.ExceptNames} {
		for _, name := range names {
			switch {
			case strings.TrimSpace(name) == "":
				return fmt.Errorf("name %q is blank", name)
			case strings.ContainsRune(name, 0):
				return fmt.Errorf("name %q has a NUL in it", name)
			}
		}
	}
	return nil
}

// readsKernel says whether the programs have to look at processes for it.
func (t *Targets) readsKernel() bool {
	return t.Names != nil || t.Files != nil || t.ExceptNames != nil || t.ExceptFiles != nil
}

// commBytes is how much the kernel keeps of the name of a process.
const commBytes = 15

// inKernel is a name as the programs compare it: cut, and with a NUL.
func inKernel(name string) (key interceptTargetName) {
	copy(key.Name[:len(key.Name)-1], name)
	return key
}

// nameMeans is what the kernel's map holds for names.
func (t *Targets) nameMeans() map[interceptTargetName]interceptNameMeans {
	all := make(map[interceptTargetName]interceptNameMeans)
	add := func(names []string, says interceptSelectorSays) {
		for _, name := range names {
			file, process := inKernel(name), inKernel(name[:min(commBytes, len(name))])
			means := all[file]
			means.File |= says
			all[file] = means
			means = all[process]
			means.Process |= says
			all[process] = means
		}
	}
	add(t.Names, interceptSelectorSaysSAYS_TARGET)
	add(t.ExceptNames, interceptSelectorSaysSAYS_EXCEPT)
	return all
}

// targetTable is what the kernel's maps hold of what this process adds to them
// and removes.
type targetTable struct {
	files   map[interceptTargetFile]interceptSelectorSays
	pids    map[uint32]uint8
	cgroups map[uint64]uint8
}

func newTargetTable(t *Targets) targetTable {
	table := targetTable{make(map[interceptTargetFile]interceptSelectorSays), setOf(t.PIDs), setOf(t.Cgroups)}
	for _, f := range t.Files {
		table.files[interceptTargetFile{Ino: f.Ino, Dev: f.Dev}] |= interceptSelectorSaysSAYS_TARGET
	}
	for _, f := range t.ExceptFiles {
		table.files[interceptTargetFile{Ino: f.Ino, Dev: f.Dev}] |= interceptSelectorSaysSAYS_EXCEPT
	}
	return table
}

func setOf[K comparable](keys []K) map[K]uint8 {
	set := make(map[K]uint8)
	for _, key := range keys {
		set[key] = 1
	}
	return set
}

// setTargets tells the programs which selectors there are, and makes the maps of
// others as small as may be.
func setTargets(spec *ebpf.CollectionSpec, t *Targets) error {
	var kinds interceptSelectorKinds
	for _, kind := range []struct {
		is   bool
		bit  interceptSelectorKinds
		maps string
	}{
		{t.Names != nil || t.ExceptNames != nil, interceptSelectorKindsTARGET_NAMES, interceptMapTargetNames},
		{t.Files != nil || t.ExceptFiles != nil, interceptSelectorKindsTARGET_FILES, interceptMapTargetFiles},
		{t.PIDs != nil, interceptSelectorKindsTARGET_PIDS, interceptMapTargetPids},
		{t.Users != nil, interceptSelectorKindsTARGET_USERS, interceptMapTargetUsers},
		{t.Cgroups != nil || t.CgroupNames != nil, interceptSelectorKindsTARGET_CGROUPS, interceptMapTargetCgroups},
	} {
		if kind.is {
			kinds |= kind.bit
		} else {
			spec.Maps[kind.maps].MaxEntries = 1
		}
	}
	if err := spec.Variables[interceptVarSelectors].Set(kinds); err != nil {
		return err
	}
	return spec.Variables[interceptVarSelects].Set(t.selects())
}

// fillTargets gives the maps what is in them from the start.
func (i *Interception) fillTargets(t *Targets) error {
	for name, means := range t.nameMeans() {
		if err := i.objs.TargetNames.Put(name, means); err != nil {
			return fmt.Errorf("put the name of a process: %w", err)
		}
	}
	for _, id := range t.Users {
		if err := i.objs.TargetUsers.Put(id, uint8(1)); err != nil {
			return fmt.Errorf("put a user: %w", err)
		}
	}
	i.targets = targetTable{}
	return i.SetTargets(*t)
}

// SetTargets replaces the files, processes and cgroups of [Config.Targets] by
// which selectors were found later, of kinds that it has. It does not remove
// what was added because it belongs to a selector, see [Interception.Follows].
// It is for one goroutine.
func (i *Interception) SetTargets(t Targets) error {
	table := newTargetTable(&t)
	err := errors.Join(
		replace(i.objs.TargetFiles, i.targets.files, table.files),
		replace(i.objs.TargetPids, i.targets.pids, table.pids),
		replace(i.objs.TargetCgroups, i.targets.cgroups, table.cgroups),
	)
	if err != nil {
		return fmt.Errorf("select processes: %w", err)
	}
	i.targets = table
	return nil
}

// replace makes a map hold what it should instead of what it had.
func replace[K, V comparable](m *ebpf.Map, had, want map[K]V) error {
	for key, value := range want {
		if old, ok := had[key]; ok && old == value {
			continue
		}
		if err := m.Put(key, value); err != nil {
			return err
		}
	}
	for key := range had {
		if _, ok := want[key]; ok {
			continue
		}
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// canReadProcesses says why the programs may not read the names of processes and
// what files they run; nil if they may. The name of the calling thread, which
// needs less, is no substitute: many programs connect from threads with names of
// their own.
func canReadProcesses() error {
	const instead = "`--pid`, `--user` and `--cgroup` do without"
	if err := canReadKernel(); err != nil {
		hint := instead
		if !hasCapability(unix.CAP_PERFMON) {
			hint = "use sudo, or once `" + Setcap + "`; " + instead
		}
		return &MissingError{What: "processes cannot be told by name", Hint: hint, Err: err}
	}
	for _, helper := range []asm.BuiltinFunc{asm.FnGetCurrentTask, asm.FnProbeReadKernel, asm.FnProbeReadKernelStr} {
		err := features.HaveProgramHelper(ebpf.CGroupSockAddr, helper)
		// EINVAL: the library has put an older helper in place of one that is
		// refused, and does not know the answer to that.
		if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
			return &MissingError{
				What: fmt.Sprintf("this kernel (%s) does not let programs read the names of processes", HostKernel().Release),
				Hint: "kernel lockdown `confidentiality` forbids it; " + instead,
			}
		}
		if err != nil {
			return refused("ask for "+helper.String(), err)
		}
	}
	return nil
}

// cgroupName is one as the programs compare it.
func cgroupName(name string) (key followCgroupName) {
	copy(key.Name[:len(key.Name)-1], name)
	return key
}
