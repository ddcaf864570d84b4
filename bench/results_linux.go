package main

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rowHTTP is the rows that have no number.
const rowHTTP = "http"

// batteries are run in this order.
var batteries []battery

func init() { // as what they measure asks which rows there are
	batteries = []battery{
		{[]string{"1", "2"}, untouched},
		{[]string{"3"}, bulk},
		{[]string{"4", "5"}, onOne},
		{[]string{"6"}, small},
		{[]string{"7", "8"}, idle},
		{[]string{"9", "10"}, lateness},
		{[]string{"11"}, excess},
		{[]string{"12"}, bounded},
		{[]string{"13"}, full},
		{[]string{"14"}, starting},
		{[]string{rowHTTP}, pages},
	}
}

// rowOrder puts rows without a number last.
func rowOrder(row string) int {
	if n, err := strconv.Atoi(row); err == nil {
		return n
	}
	return 1000
}

// page is the file of results.
func (b *bench) page() (string, error) {
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return "", err
	}
	version, err := exec.Command(b.binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version of %s: %w", b.binary, err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, `# What was measured

`+"`make bench`"+` writes this page. Each target is measured in each of %d rounds or more, in turn. What is judged are medians of the
ratios within a round, best peer means the best of the peers in that round, and all runs over loopback, in a network
namespace of its own.

| | |
|---|---|
| date | %s, %.0f minutes, with a load of %s before |
| machine | %s, %s, %s |
| kernel | Linux %s |
| congestion control | %s |
| measured | %s |
`, b.rounds, b.began.UTC().Format("2006-01-02 15:04 UTC"), time.Since(b.began).Minutes(), b.load,
		processorName(), plural(runtime.NumCPU(), "processor"), runtime.GOARCH,
		unix.ByteSliceToString(kernel.Release[:]), b.congestion, strings.TrimSpace(string(version)))
	var versions []string
	for _, p := range slices.Concat(tcpPeers, httpPeers) {
		version, err := b.version(p)
		if err != nil {
			return "", err
		}
		versions = append(versions, p.targets[0].name+" "+version)
	}
	fmt.Fprintf(&text, "| peers | %s |\n\n", strings.Join(versions, ", "))
	err = markdown(&text, gates(b.lines, true))
	fmt.Fprint(&text, "\nWhat this was made of, as medians of the rounds:\n\n")
	if err == nil {
		err = markdown(&text, medians(b.details))
	}
	return text.String(), err
}

// loadAverage is how many others wanted a processor in the last minute.
func loadAverage() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "-"
	}
	return strings.Fields(string(load))[0]
}

// processorName is that of the first processor, if the kernel tells it.
func processorName() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for lines := bufio.NewScanner(bytes.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

var versionNumber = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// version asks a peer for its own. What says none was built by go install,
// which notes it.
func (b *bench) version(p peer) (string, error) {
	program, err := b.find(p)
	if err != nil {
		return "", err
	}
	if p.versionFlag == "" {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return "", err
		}
		return strings.TrimPrefix(info.Main.Version, "v"), nil
	}
	out, err := exec.Command(program, p.versionFlag).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask for the version of %s: %w", program, err)
	}
	return string(versionNumber.Find(out)), nil
}
