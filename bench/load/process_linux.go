package load

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tree is a process and those that descend from it.
func tree(pid int) []int {
	if pid == 0 {
		return nil
	}
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may have anything in it.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, err := strconv.Atoi(fields[1])
		child, err2 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && err2 == nil {
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// clock is what the processes have computed so far, to the nanosecond, which
// /proc tells to the hundredth of a second.
func clock(pids []int) (total time.Duration) {
	for _, pid := range pids {
		var t unix.Timespec
		if unix.ClockGettime(int32(^pid)<<3|2, &t) == nil { // CPUCLOCK_SCHED
			total += time.Duration(t.Nano())
		}
	}
	return total
}

// resident is the memory that the processes hold, in bytes.
func resident(pids []int) (total int64, err error) {
	for _, pid := range pids {
		// What /proc/PID/status has of it is rounded by some hundred pages.
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(rollup)) {
			if size, ok := strings.CutPrefix(line, "Rss:"); ok {
				kib, err := strconv.ParseInt(strings.Fields(size)[0], 10, 64)
				if err != nil {
					return 0, err
				}
				total += kib << 10
			}
		}
	}
	return total, nil
}

// descriptors is how many files the processes have open.
func descriptors(pids []int) (total int64, err error) {
	for _, pid := range pids {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return 0, err
		}
		total += int64(len(open))
	}
	return total, nil
}
