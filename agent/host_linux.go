package agent

import (
	"bytes"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent/procfs"
)

// inInitialPIDNamespace says whether pids that the kernel gives to programs
// are those of our /proc.
var inInitialPIDNamespace = sync.OnceValue(procfs.InInitialPIDNamespace)

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

// descriptorLimit is how many files this process may have open.
func descriptorLimit() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int64(min(limit.Cur, 1<<31))
}

// ephemeralPorts is how many ports there are for those who connect in the network
// namespace of this thread; all of them where that is not known.
func ephemeralPorts() int64 {
	var first, last int64
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &first, &last)
	}
	if err != nil {
		return 1 << 16
	}
	return last - first + 1
}
