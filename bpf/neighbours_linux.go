package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Neighbour is a program of somebody else on a cgroup, at a hook at which ours
// are, too.
type Neighbour struct {
	ID ebpf.ProgramID
	// Name is as `bpftool prog` shows it; empty if this user may not know.
	Name string
	// Hook is where it is: "connect4".
	Hook string
	// Cgroup is the folder that it is on.
	Cgroup string
	// Alone says that no other may be attached at that place.
	Alone bool
}

// hooks are those at which ours are.
var hooks = []struct {
	name string
	at   ebpf.AttachType
}{
	{"connect4", ebpf.AttachCGroupInet4Connect}, {"connect6", ebpf.AttachCGroupInet6Connect},
	{"sendmsg4", ebpf.AttachCGroupUDP4Sendmsg}, {"sendmsg6", ebpf.AttachCGroupUDP6Sendmsg},
	{"getpeername4", ebpf.AttachCgroupInet4GetPeername}, {"getpeername6", ebpf.AttachCgroupInet6GetPeername},
	{"sockops", ebpf.AttachCGroupSockOps},
	{"ingress", ebpf.AttachCGroupInetIngress}, {"egress", ebpf.AttachCGroupInetEgress}, // where others keep traffic out
}

// Neighbours finds the programs of others on the topmost cgroup that this process
// can see and on all below. It needs CAP_BPF and CAP_NET_ADMIN, and for their
// names CAP_SYS_ADMIN.
func Neighbours() ([]Neighbour, error) {
	ours, err := programNames()
	if err != nil {
		return nil, err
	}
	top, name, err := openCgroup("")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	root := fmt.Sprintf("/proc/self/fd/%d/", top.Fd())
	var found []Neighbour
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // a cgroup that has ended
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		}
		some, err := neighboursAt(path)
		for _, n := range some {
			if !ours[n.Name] {
				n.Cgroup = filepath.Join(name, strings.TrimPrefix(path, root))
				found = append(found, n)
			}
		}
		return err
	})
	return found, err
}

// neighboursAt finds the programs on one cgroup.
func neighboursAt(path string) ([]Neighbour, error) {
	folder, err := openCgroup2(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var found []Neighbour
	for _, hook := range hooks {
		ids, flags, err := programsAt(int(folder.Fd()), hook.at)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			name, err := programOf(id)
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				continue // it has gone
			}
			found = append(found, Neighbour{ID: id, Name: name, Hook: hook.name, Alone: flags&unix.BPF_F_ALLOW_MULTI == 0})
		}
	}
	return found, nil
}

// programsAt asks the kernel what is attached to a cgroup, and how, which the
// library does not tell.
func programsAt(cgroup int, at ebpf.AttachType) (ids []ebpf.ProgramID, flags uint32, err error) {
	// The part of union bpf_attr that is of BPF_PROG_QUERY, as Linux 4.15 has it.
	attr := struct {
		target, attachType, queryFlags, attachFlags uint32
		programs                                    uint64
		count, padding                              uint32
	}{target: uint32(cgroup), attachType: uint32(at)}
	ids = make([]ebpf.ProgramID, 64) // as many as the kernel lets be there
	var pinned runtime.Pinner
	pinned.Pin(unsafe.SliceData(ids))
	defer pinned.Unpin()
	attr.programs, attr.count = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(ids)))), uint32(len(ids))
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_QUERY, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	switch errno {
	case 0:
		return ids[:attr.count], attr.attachFlags, nil
	case unix.EINVAL: // this kernel has no such hook
		return nil, 0, nil
	}
	return nil, 0, fmt.Errorf("ask what is attached to a cgroup: %w", errno)
}
