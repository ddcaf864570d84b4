package procfs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// All gives the processes that are to be seen, the lowest id first. Threads of
// the kernel and what has ended are no processes here.
func All() ([]Running, error) {
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	var all []Running
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		if p, ok := parseStat(string(text)); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// parseStat reads a /proc/PID/stat.
func parseStat(text string) (Running, bool) {
	// The name is in parentheses, and may have some of its own.
	number, rest, _ := strings.Cut(text, " (")
	end := strings.LastIndex(rest, ") ")
	pid, err := strconv.ParseUint(number, 10, 31)
	if err != nil || end < 0 {
		return Running{}, false
	}
	var state string
	var parent, group, session, terminal, foreground int
	var flags uint32
	const kernelThread = 0x00200000 // PF_KTHREAD of linux/sched.h
	if _, err := fmt.Sscan(rest[end+2:], &state, &parent, &group, &session, &terminal, &foreground, &flags); err != nil {
		return Running{}, false
	}
	return Running{Process{int(pid), rest[:end]}, parent}, flags&kernelThread == 0 && state != "Z" && state != "X"
}

// UserOf is the real user of a process; false if it has ended.
func UserOf(pid int) (uint32, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	// The name in it is escaped, so that it is one line.
	_, rest, _ := bytes.Cut(text, []byte("\nUid:\t"))
	number, _, _ := bytes.Cut(rest, []byte("\t"))
	id, err := strconv.ParseUint(string(number), 10, 32)
	return uint32(id), err == nil
}
