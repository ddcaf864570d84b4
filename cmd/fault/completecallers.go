package main

import (
	"bufio"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/procfs"
)

// processes are those that run but this one.
func processes() []procfs.Running {
	all, _ := procfs.All()
	return slices.DeleteFunc(all, func(p procfs.Running) bool { return p.PID == os.Getpid() })
}

// processNames are the names of the processes that run, sorted, each once.
func processNames() []string {
	var names []string
	for _, p := range processes() {
		names = append(names, p.Name)
	}
	return offerable(names)
}

// offerable are names, sorted, each once. What a terminal must not be shown is
// left out, as it would not be the name, and what would be several.
func offerable(names []string) []string {
	names = slices.DeleteFunc(names, func(name string) bool {
		return lines.Shown(name, math.MaxInt) != name || strings.ContainsRune(name, ',')
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// pids are the processes that run, by number.
func pids() []string {
	var choices []string
	for _, p := range processes() {
		choices = append(choices, described(strconv.Itoa(p.PID), lines.Shown(p.Name, 40)))
	}
	return choices
}

// userNames are the users of this host.
func userNames() []string {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return nil
	}
	defer f.Close()
	return offerable(usersOf(f))
}

// usersOf are the names in a passwd(5) file.
func usersOf(file io.Reader) []string {
	var names []string
	for rows := bufio.NewScanner(file); rows.Scan(); {
		if name, _, ok := strings.Cut(rows.Text(), ":"); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}

func unitNames() []string      { return offerable(callers.Units()) }
func containerNames() []string { return offerable(callers.Containers()) }
