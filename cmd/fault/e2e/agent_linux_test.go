package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// latency is the main command, as the README shows it.
var latency = []string{"--with-latency", "--latency-mean", "300", "--latency-stddev", "50", "--upstream", "*"}

// fault is the command under test with an environment of its own.
func fault(args ...string) *exec.Cmd {
	cmd := exec.Command(faultBinary, args...)
	cmd.Env = cleanEnvironment()
	return cmd
}

// agent is a `fault run` that is up.
type agent struct {
	*process
	// proxy is the address of its listener.
	proxy string
}

// run starts `fault run` and waits until it is ready.
func (h *host) run(t testing.TB, args ...string) *agent {
	t.Helper()
	return h.runs(t, fault(append([]string{"run"}, args...)...))
}

func (h *host) runs(t testing.TB, cmd *exec.Cmd) *agent {
	t.Helper()
	a := &agent{process: start(t, h, cmd)}
	a.says(t, "\nready after ")
	a.proxy = found(t, a.stdout.String(), `(?m)^  proxy +http://(\S+)`)[1]
	return a
}

// stop ends a run as people do, and returns its summary.
func (a *agent) stop(t testing.TB) summary {
	t.Helper()
	a.signal(t, syscall.SIGTERM)
	return a.summary(t)
}

// summary waits for the end of a run, which has to be a good one.
func (a *agent) summary(t testing.TB) summary {
	t.Helper()
	if code := a.await(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	// A target that cannot be verified is warned of; nothing else may be.
	unverified := regexp.MustCompile(`(?m)^warning: --proxy .* \(tls\)\nhint: .*\n`)
	if text := unverified.ReplaceAllString(a.stderr.String(), ""); text != "" {
		t.Errorf("standard error: %s", text)
	}
	_, text, _ := strings.Cut(a.stdout.String(), "\nfault ended after ")
	t.Logf("fault ended after %s", text)
	return readSummary(t, text)
}

// summary is what a run said of itself at its end.
type summary struct {
	reason                         string
	flows, matched, passed, cutOff int
	leftAlone, errors              map[string]int
}

func readSummary(t testing.TB, text string) summary {
	t.Helper()
	flows := found(t, text, `(?m)^flows +([\d,]+) +([\d,]+) matched, ([\d,]+) passed through; ([\d,]+) cut off at the end$`)
	return summary{
		reason: found(t, text, `^\S+ \((\w+)\), exit 0\n`)[1],
		flows:  number(t, flows[1]), matched: number(t, flows[2]),
		passed: number(t, flows[3]), cutOff: number(t, flows[4]),
		leftAlone: parts(t, text, "left alone"), errors: parts(t, text, "errors"),
	}
}

// parts reads a total and what it is made of; nil if there is no such line.
func parts(t testing.TB, text, label string) map[string]int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + label + ` +([\d,]+) +(.*)$`).FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	all, sum := make(map[string]int), 0
	for _, part := range regexp.MustCompile(`(\d[\d,]*) ([^,]+)`).FindAllStringSubmatch(m[2], -1) {
		all[part[2]] = number(t, part[1])
		sum += all[part[2]]
	}
	if sum != number(t, m[1]) {
		t.Errorf("%s: the parts are %d together: %s", label, sum, m[0])
	}
	return all
}

func found(t testing.TB, text, pattern string) []string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m
}

// number reads a number whose thousands may be apart.
func number(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flowLines are the lines of --tail that have been written so far.
func (a *agent) flowLines() []string {
	return regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\S+ .* -> .*$`).FindAllString(a.stdout.String(), -1)
}

// endsWithin says whether a process ends with a code in time.
func (p *process) endsWithin(t testing.TB, limit time.Duration, want int) {
	t.Helper()
	began := time.Now()
	code := p.await(t)
	if took := time.Since(began); took > limit || code != want {
		t.Errorf("%s: exit %d after %v, want %d within %v\n%s", strings.Join(p.Args, " "), code, took, want, limit, tail(&p.stderr))
	}
}

// procPath is where the kernel tells about a process.
func (p *process) procPath(name ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(p.Process.Pid)}, name...)...)
}

// descriptors gives what a process has open.
func (p *process) descriptors() []string {
	entries, _ := os.ReadDir(p.procPath("fd"))
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink(p.procPath("fd", e.Name())); err == nil {
			open = append(open, to)
		}
	}
	return open
}

// threads says how many threads a process has.
func (p *process) threads(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile(p.procPath("status"))
	if err != nil {
		t.Fatal(err)
	}
	return number(t, found(t, string(status), `(?m)^Threads:\s+(\d+)$`)[1])
}

// listening gives the TCP sockets of a process that listen, as the kernel
// writes their addresses.
func (p *process) listening() []string {
	var addresses []string
	open := strings.Join(p.descriptors(), " ") + " "
	for _, table := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(p.procPath("net", table))
		for line := range strings.Lines(string(text)) {
			const local, state, inode, listen = 1, 3, 9, "0A"
			f := strings.Fields(line)
			if len(f) > inode && f[state] == listen && strings.Contains(open, "socket:["+f[inode]+"] ") {
				addresses = append(addresses, f[local])
			}
		}
	}
	return addresses
}
