package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processes are those that run but this one, in no order.
func processes() []process {
	var all []process
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if p, ok := parseStat(string(text)); ok && int(p.pid) != os.Getpid() {
			all = append(all, p)
		}
	}
	return all
}

// parseStat reads a /proc/PID/stat. Threads of the kernel and what has ended
// are no processes here.
func parseStat(text string) (process, bool) {
	// The name is in parentheses, and may have some of its own.
	number, rest, _ := strings.Cut(text, " (")
	end := strings.LastIndex(rest, ") ")
	pid, err := strconv.ParseUint(number, 10, 32)
	if err != nil || end < 0 {
		return process{}, false
	}
	var state string
	var parent, group, session, terminal, foreground int
	var flags uint32
	const kernelThread = 0x00200000 // PF_KTHREAD of linux/sched.h
	if _, err := fmt.Sscan(rest[end+2:], &state, &parent, &group, &session, &terminal, &foreground, &flags); err != nil {
		return process{}, false
	}
	return process{uint32(pid), rest[:end]}, flags&kernelThread == 0 && state != "Z" && state != "X"
}
