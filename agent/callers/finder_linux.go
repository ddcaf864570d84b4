package callers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/bpf"
)

// Finder finds what selectors select. It is for one goroutine.
type Finder struct {
	set     Set
	engines engines
	root    *os.File // the topmost cgroup; nil if none is wanted
	top     string   // by which it is reached, however it is mounted
	attach  string   // see Attach

	finds   int // so far
	files   map[string]knownFile
	cgroups map[Selector]*knownCgroups
	pids    map[uint32]bool // of PID selectors, with their children
	walked  time.Time       // when all cgroups were looked at last
}

// certain is how many times Find looks at everything: once to know what there
// is, and once more when the kernel has begun to add what comes.
const certain = 2

// knownFile is a file that was seen at a path, and those that were there before,
// which processes may still run.
type knownFile struct {
	seen fs.FileInfo
	all  []bpf.File
}

// knownCgroups are the folders of a selector, by the kernel's numbers of them.
type knownCgroups struct {
	folders map[uint64]string
	ids     []string // of containers
}

// NewFinder is for a set. The caller closes it.
func NewFinder(set Set) (*Finder, error) {
	f := &Finder{set: set, engines: hostEngines, files: make(map[string]knownFile), cgroups: make(map[Selector]*knownCgroups)}
	for _, s := range set {
		if s.inCgroups() {
			f.cgroups[s] = &knownCgroups{folders: make(map[uint64]string)}
		}
	}
	if len(f.cgroups) == 0 {
		return f, nil
	}
	var err error
	if f.root, err = bpf.OpenTopCgroup(); err != nil {
		return nil, err
	}
	f.top = fmt.Sprintf("/proc/self/fd/%d", f.root.Fd())
	return f, nil
}

// Close lets go of what it looks at.
func (f *Finder) Close() {
	if f.root != nil {
		f.root.Close()
	}
}

func (s Selector) inCgroups() bool {
	return s.Kind == Cgroup || s.Kind == Unit || s.Kind == Container || s.Kind == Command
}

// Attach is the cgroup below which all that is selected is; empty for the
// topmost one.
func (f *Finder) Attach() string { return f.attach }

// Changes says whether Find has to be called again and again, if follows says
// whether the kernel itself adds children of processes and cgroups that are made
// later.
func (f *Finder) Changes(follows bool) bool {
	return slices.ContainsFunc(f.set, func(s Selector) bool {
		return s.isFile() || s.Kind == Container || s.Kind == Cgroup || !follows && (s.Kind == Unit || s.Kind == PID)
	})
}

// Find looks at the host, and gives what the selectors select now. The error is
// a [SelectorError] or a [bpf.CgroupError] if there can be nothing, now or later.
func (f *Finder) Find(ctx context.Context, follows bool) (bpf.Targets, error) {
	var t bpf.Targets
	defer func() { f.finds++ }()
	for _, s := range f.set {
		switch {
		case s.isFile() && s.Kind == Process:
			t.Files = append(orEmpty(t.Files), f.file(s.Value)...)
		case s.isFile():
			t.ExceptFiles = append(orEmpty(t.ExceptFiles), f.file(s.Value)...)
		case s.Kind == Process:
			t.Names = append(t.Names, s.Value)
		case s.Kind == ExceptProcess:
			t.ExceptNames = append(t.ExceptNames, s.Value)
		case s.Kind == User:
			t.Users = append(t.Users, s.id)
		case s.Kind == PID:
			t.PIDs = orEmpty(t.PIDs)
		default:
			t.Cgroups = orEmpty(t.Cgroups)
		}
	}
	var err error
	if t.PIDs != nil {
		if t.PIDs, err = f.processes(follows); err != nil {
			return t, err
		}
	}
	if t.Cgroups == nil {
		return t, nil
	}
	err = f.findCgroups(ctx, follows)
	for s, known := range f.cgroups {
		t.Cgroups = slices.AppendSeq(t.Cgroups, maps.Keys(known.folders))
		for _, name := range s.cgroupNames(known) {
			t.CgroupNames = append(orEmpty(t.CgroupNames), name)
		}
	}
	return t, err
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// cgroupNames are the names by which cgroups of a selector can be told when they
// are made.
func (s Selector) cgroupNames(known *knownCgroups) []string {
	switch s.Kind {
	case Unit:
		return unitCgroups(s.Value)
	case Container:
		names := containerCgroups(s.Value)
		for _, id := range known.ids {
			names = append(names, containerCgroups(id)...)
		}
		return names
	}
	return nil
}

// file is the file at a path, with those that were there before.
func (f *Finder) file(path string) []bpf.File {
	known := f.files[path]
	if now, err := os.Stat(path); err == nil && (known.seen == nil || !os.SameFile(now, known.seen)) {
		if file, err := bpf.FileAt(path); err == nil {
			known.seen = now
			if !slices.Contains(known.all, file) {
				known.all = append(known.all, file)
			}
			f.files[path] = known
		}
	}
	return known.all
}

// processes are those of PID selectors, with their children.
func (f *Finder) processes(follows bool) ([]uint32, error) {
	running, err := procfs.All()
	if err != nil {
		return nil, err
	}
	if f.finds == 0 {
		f.pids = make(map[uint32]bool)
		for _, s := range f.set {
			if s.Kind != PID {
				continue
			}
			if procfs.InInitialPIDNamespace() && !slices.ContainsFunc(running, func(p procfs.Running) bool { return p.PID == int(s.id) }) {
				return nil, &SelectorError{s, errors.New("there is no such process")}
			}
			f.pids[s.id] = true
		}
	}
	if procfs.InInitialPIDNamespace() {
		descend(f.pids, running)
		if !follows { // numbers are given again
			keepRunning(f.pids, running)
		}
	}
	var pids []uint32
	for pid := range f.pids {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// descend adds the children of processes to them, and theirs.
func descend(pids map[uint32]bool, running []procfs.Running) {
	for more := true; more; {
		more = false
		for _, p := range running {
			if !pids[uint32(p.PID)] && pids[uint32(p.Parent)] {
				pids[uint32(p.PID)] = true
				more = true
			}
		}
	}
}

func keepRunning(pids map[uint32]bool, running []procfs.Running) {
	alive := make(map[uint32]bool)
	for _, p := range running {
		alive[uint32(p.PID)] = true
	}
	for pid := range pids {
		if !alive[pid] {
			delete(pids, pid)
		}
	}
}

// walkEvery is how often all cgroups are looked at for one that is missing.
const walkEvery = time.Second

// findCgroups finds the folders of selectors. It looks at all of them only if
// one has none that is known, and then not each time.
func (f *Finder) findCgroups(ctx context.Context, follows bool) error {
	walk := false
	for s, known := range f.cgroups {
		maps.DeleteFunc(known.folders, func(id uint64, folder string) bool {
			now, err := cgroupID(folder)
			return err != nil || now != id
		})
		switch s.Kind {
		case Command:
			f.know(known, s.Folder)
		case Cgroup:
			if err := f.findFolder(s, known); err != nil {
				return err
			}
		case Container:
			ids := f.engines.ids(ctx, s.Value)
			if !slices.Equal(ids, known.ids) { // it may have a cgroup by now
				f.walked = time.Time{}
			}
			known.ids = ids
			for _, folder := range f.engines.folders(f.top, known.isOf(s)) {
				f.know(known, folder)
			}
			walk = walk || len(known.folders) == 0
		case Unit: // of whose name there may be several
			walk = walk || !follows
		}
	}
	if f.finds >= certain && (!walk || time.Since(f.walked) < walkEvery) {
		return nil
	}
	f.walked = time.Now()
	return f.walk()
}

// isOf says whether an id is that of a container that a selector means.
func (k *knownCgroups) isOf(s Selector) func(id string) bool {
	return func(id string) bool { return means(s.Value, id) || slices.Contains(k.ids, id) }
}

func (f *Finder) know(known *knownCgroups, folder string) {
	if id, err := cgroupID(folder); err == nil {
		known.folders[id] = folder
	}
}

// findFolder finds the folder of a Cgroup. It has to be there at first.
func (f *Finder) findFolder(s Selector, known *knownCgroups) error {
	folder, attach, err := bpf.FindCgroup(s.Value)
	switch {
	case err == nil:
		f.know(known, folder)
		f.attach = cmp.Or(attach, f.attach)
	case f.finds == 0:
		return err
	}
	return nil
}

// walk looks at all cgroups for those of units and containers.
func (f *Finder) walk() error {
	several := make(map[Selector]map[string]bool)
	err := walkCgroups(f.top, func(folder string) {
		name := filepath.Base(folder)
		for s, known := range f.cgroups {
			switch s.Kind {
			case Unit:
				if slices.Contains(unitCgroups(s.Value), name) {
					f.know(known, folder)
				}
			case Container:
				id, ok := containerOf(name)
				if ok && known.isOf(s)(id) {
					f.know(known, folder)
					if several[s] == nil {
						several[s] = make(map[string]bool)
					}
					several[s][id] = true
				}
			}
		}
	})
	for s, ids := range several {
		if len(ids) > 1 && isHex(s.Value) {
			return &SelectorError{s, fmt.Errorf("%d containers have ids that begin so", len(ids))}
		}
	}
	return err
}

// walkCgroups visits all cgroups below a folder.
func walkCgroups(top string, visit func(folder string)) error {
	entries, err := os.ReadDir(top + "/")
	for _, e := range entries {
		if e.IsDir() {
			folder := filepath.Join(top, e.Name())
			visit(folder)
			_ = walkCgroups(folder, visit) // it may have ended
		}
	}
	return err
}

// cgroupID is the kernel's number of a cgroup.
func cgroupID(folder string) (uint64, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// Selected says what each selector selects now, and which processes all of them
// do; nil is all that run.
func (f *Finder) Selected() (matches []Match, processes map[int]bool, err error) {
	running, err := procfs.All()
	if err != nil {
		return nil, nil, err
	}
	processes, excepted := make(map[int]bool), make(map[int]bool)
	for _, s := range f.set {
		pids, present := f.selected(s, running)
		m := Match{Selector: s, Processes: len(pids), Present: present}
		if s.isFile() && len(pids) == 0 && os.Geteuid() != 0 { // others' files are not to be seen
			m.Processes = -1
		}
		if s.inCgroups() {
			m.Processes = f.inCgroups(s, func(pid int) { pids = append(pids, pid) })
			for _, m.Cgroup = range f.cgroups[s].folders {
				m.Present = true
			}
		}
		matches = append(matches, m)
		for _, pid := range pids {
			if s.Kind == ExceptProcess {
				excepted[pid] = true
			} else {
				processes[pid] = true
			}
		}
	}
	if !f.set.Selects() {
		if len(f.set) == 0 {
			return matches, nil, nil
		}
		for _, p := range running {
			processes[p.PID] = true
		}
	}
	for pid := range excepted {
		delete(processes, pid)
	}
	return matches, processes, nil
}

// selected gives the processes of a selector that goes by processes.
func (f *Finder) selected(s Selector, running []procfs.Running) (pids []int, present bool) {
	of := func(is func(procfs.Running) bool) {
		for _, p := range running {
			if is(p) {
				pids = append(pids, p.PID)
			}
		}
	}
	switch {
	case s.isFile():
		file, err := os.Stat(s.Value)
		present = err == nil
		of(func(p procfs.Running) bool {
			runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.PID))
			return err == nil && file != nil && os.SameFile(file, runs)
		})
	case s.Kind == Process || s.Kind == ExceptProcess:
		of(func(p procfs.Running) bool {
			const kept = 15 // bytes of a name
			return p.Name == s.Value[:min(kept, len(s.Value))] || executableOf(p.PID) == s.Value
		})
	case s.Kind == PID:
		below := map[uint32]bool{s.id: true}
		descend(below, running)
		of(func(p procfs.Running) bool { return below[uint32(p.PID)] })
	case s.Kind == User:
		present = true
		of(func(p procfs.Running) bool {
			id, ok := procfs.UserOf(p.PID)
			return ok && id == s.id
		})
	}
	return pids, present || len(pids) > 0
}

// executableOf is the name of the file that a process runs; "" if this user may
// not know.
func executableOf(pid int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return filepath.Base(strings.TrimSuffix(path, " (deleted)"))
}

// inCgroups visits the processes of a selector that goes by cgroups, and returns
// how many there are.
func (f *Finder) inCgroups(s Selector, visit func(pid int)) (n int) {
	read := func(folder string) {
		text, _ := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				visit(pid)
				n++
			}
		}
	}
	for _, folder := range f.cgroups[s].folders {
		read(folder)
		_ = walkCgroups(folder, read)
	}
	return n
}

// CgroupIDs are the kernel's numbers of all cgroups that are selected, with those
// below them.
func (f *Finder) CgroupIDs() map[uint64]bool {
	ids := make(map[uint64]bool)
	for _, known := range f.cgroups {
		for id, folder := range known.folders {
			ids[id] = true
			_ = walkCgroups(folder, func(below string) {
				if id, err := cgroupID(below); err == nil {
					ids[id] = true
				}
			})
		}
	}
	return ids
}

// Netns is the network namespace of a container that runs: a path for setns(2),
// of one of its processes.
func (f *Finder) Netns(s Selector) (path string, ok bool) {
	if known, of := f.cgroups[s]; !of || len(known.folders) == 0 {
		return "", false
	}
	f.inCgroups(s, func(pid int) {
		if path == "" {
			path = fmt.Sprintf("/proc/%d/ns/net", pid)
		}
	})
	return path, path != ""
}

// Units are the units of systemd that have cgroups now.
func Units() []string { return named(unitOf) }

// Containers are the containers that run, by their ids or names, as far as those
// are known without asking an engine.
func Containers() []string {
	all := named(containerOf)
	hostEngines.folders("/", func(id string) bool {
		all = append(all, id)
		return false
	})
	for i, id := range all {
		if isID(id) {
			all[i] = id[:12]
		}
	}
	return all
}

// named are the names of what has cgroups, of which some have.
func named(of func(cgroup string) (string, bool)) (names []string) {
	root, err := bpf.OpenTopCgroup()
	if err != nil {
		return nil
	}
	defer root.Close()
	_ = walkCgroups(fmt.Sprintf("/proc/self/fd/%d", root.Fd()), func(folder string) {
		if name, ok := of(filepath.Base(folder)); ok {
			names = append(names, name)
		}
	})
	return names
}
