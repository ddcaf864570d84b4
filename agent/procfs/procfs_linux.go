package procfs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sockets gives those of "tcp" or "udp", of both IP versions, in the network
// namespace of the calling thread.
func Sockets(network string) ([]Socket, error) {
	var all []Socket
	for _, table := range []string{network, network + "6"} {
		f, err := os.Open("/proc/thread-self/net/" + table)
		if err != nil {
			if table != network && errors.Is(err, fs.ErrNotExist) {
				continue // a kernel without IPv6
			}
			return nil, err
		}
		some, err := sockets(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// sockets reads a table: a title, then a row for each.
func sockets(table io.Reader) ([]Socket, error) {
	const local, remote, state, inode = 1, 2, 3, 9
	var all []Socket
	rows := bufio.NewScanner(table)
	for rows.Scan() {
		fields := strings.Fields(rows.Text())
		if len(fields) <= inode {
			continue
		}
		here, err1 := address(fields[local])
		there, err2 := address(fields[remote])
		number, err3 := strconv.ParseUint(fields[state], 16, 8)
		id, err4 := strconv.ParseUint(fields[inode], 10, 64)
		if errors.Join(err1, err2, err3, err4) == nil {
			all = append(all, Socket{Local: here, Remote: there, State: State(number), Inode: id})
		}
	}
	return all, rows.Err()
}

// address reads one as the tables have it: words of 32 bits in the host's
// order, and a port.
func address(text string) (netip.AddrPort, error) {
	digits, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	words, err := hex.DecodeString(digits)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// InInitialPIDNamespace says whether all processes of this host are to be seen,
// by the ids that the kernel has for them.
func InInitialPIDNamespace() bool {
	const initial = 0xEFFFFFFC // PROC_PID_INIT_INO in include/linux/proc_ns.h
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) == nil && st.Ino == initial
}

// processes gives the ids of all that are to be seen, the lowest first.
func processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// ByID is a process and its name; the name is empty if it has gone.
func ByID(pid int) Process {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return Process{PID: pid, Name: string(bytes.TrimSuffix(name, []byte("\n")))}
}

// HolderOf finds who has a socket open: of several the oldest, as far as their
// ids tell. False means that this user may not see it.
func HolderOf(s Socket) (Process, bool) {
	target := fmt.Sprintf("socket:[%d]", s.Inode)
	return holder(target, func(string) bool { return true })
}

// HoldersOf finds who has sockets open, by the sockets' inodes; of several
// holders the oldest is first, as far as their ids tell. What this user may not
// see is not found.
func HoldersOf(inodes []uint64) map[uint64][]Process {
	wanted := make(map[string]uint64, len(inodes))
	for _, inode := range inodes {
		wanted[fmt.Sprintf("socket:[%d]", inode)] = inode
	}
	found := make(map[uint64][]Process)
	pids, _ := processes()
	for _, pid := range pids {
		folder := fmt.Sprintf("/proc/%d/fd", pid)
		open, _ := os.ReadDir(folder)
		var process Process
		for _, fd := range open {
			name, _ := os.Readlink(filepath.Join(folder, fd.Name()))
			inode, ok := wanted[name]
			if !ok {
				continue
			}
			if process.PID == 0 {
				process = ByID(pid)
			}
			if !slices.Contains(found[inode], process) { // once, with however many descriptors
				found[inode] = append(found[inode], process)
			}
		}
	}
	return found
}

// HolderOfLink finds who has a BPF link open.
func HolderOfLink(id uint32) (Process, bool) {
	line := []byte(fmt.Sprintf("\nlink_id:\t%d\n", id))
	return holder("anon_inode:bpf_link", func(info string) bool {
		text, err := os.ReadFile(info)
		return err == nil && bytes.Contains(text, line)
	})
}

// holder finds a process with an open file of that name, and about which is is
// told where the kernel describes it.
func holder(target string, is func(info string) bool) (Process, bool) {
	pids, err := processes()
	if err != nil {
		return Process{}, false
	}
	for _, pid := range pids {
		folder := fmt.Sprintf("/proc/%d/fd", pid)
		open, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, fd := range open {
			name, err := os.Readlink(filepath.Join(folder, fd.Name()))
			if err == nil && name == target && is(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd.Name())) {
				return ByID(pid), true
			}
		}
	}
	return Process{}, false
}
