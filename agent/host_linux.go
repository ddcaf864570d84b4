package agent

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/netns"
)

// currentNetns is the inode of the network namespace that sockets opened here
// live in.
func currentNetns() (uint64, error) {
	ns, err := netns.Current()
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	return ns.Inode(), nil
}

// inInitialPIDNamespace says whether pids that the kernel gives to programs
// are those of our /proc.
var inInitialPIDNamespace = sync.OnceValue(func() bool {
	const procPIDInitIno = 0xEFFFFFFC // include/linux/proc_ns.h
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) == nil && st.Ino == procPIDInitIno
})

// processName is the name of a process, of which a thread is known. Threads
// name themselves; the first one's name is the process's.
func processName(pid, tid uint32, thread string) string {
	if pid == tid && thread != "" || !inInitialPIDNamespace() {
		return thread
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return thread
	}
	return string(bytes.TrimSuffix(name, []byte("\n")))
}

// openConnections counts the TCP connections of this network namespace, but
// for those within the host; nil if that cannot be told.
func openConnections() *int {
	n := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			if table == "/proc/self/net/tcp6" && errors.Is(err, fs.ErrNotExist) {
				continue // a kernel without IPv6
			}
			return nil
		}
		rows := bufio.NewScanner(f)
		for rows.Scan() {
			const remote, state, established = 2, 3, "01"
			fields := strings.Fields(rows.Text())
			if len(fields) > state && fields[state] == established && !loopbackInProc(fields[remote]) {
				n++
			}
		}
		f.Close()
		if rows.Err() != nil {
			return nil
		}
	}
	return &n
}

// loopbackInProc says whether an address is the host's own loopback, as
// /proc/net/tcp writes it: words of 32 bits in the host's order, and a port.
func loopbackInProc(text string) bool {
	digits, _, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	return ok && addr.Unmap().IsLoopback()
}

// descriptorLimit is how many files this process may have open.
func descriptorLimit() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int64(min(limit.Cur, 1<<31))
}
