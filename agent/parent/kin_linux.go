package parent

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lookUp gives what looks processes up, in /proc. It sees none but ourselves
// where that is of another pid namespace.
func lookUp() func(pid int) (kin, bool) {
	self := os.Getpid()
	in, err := os.Readlink("/proc/self")
	ours := err == nil && in == strconv.Itoa(self)
	return func(pid int) (kin, bool) {
		if pid == self {
			return kin{parent: os.Getppid(), group: unix.Getpgrp(), ignoresHangup: signal.Ignored(unix.SIGHUP)}, true
		}
		if !ours {
			return kin{}, false
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return kin{}, false
		}
		return parseStatus(string(status))
	}
}

// parseStatus reads a /proc/PID/status. In it names are escaped: each key has
// but one line.
func parseStatus(text string) (k kin, ok bool) {
	missing := map[string]bool{"Name": true, "PPid": true, "NSpgid": true, "SigIgn": true}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		delete(missing, key)
		var err error
		switch key {
		case "Name":
			k.name = value
		case "PPid":
			k.parent, err = strconv.Atoi(value)
		case "NSpgid": // from our namespace inwards
			value, _, _ = strings.Cut(value, "\t")
			k.group, err = strconv.Atoi(value)
		case "SigIgn":
			var set uint64
			set, err = strconv.ParseUint(value, 16, 64)
			k.ignoresHangup = set&(1<<(unix.SIGHUP-1)) != 0
		}
		if err != nil {
			return kin{}, false
		}
	}
	return k, len(missing) == 0
}
