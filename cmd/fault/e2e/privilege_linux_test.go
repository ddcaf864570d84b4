package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// intercepting is what a file needs for all that fault can do.
const intercepting = "cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep"

// withCapabilities is a copy of the command under test.
func withCapabilities(t testing.TB, caps string) string {
	t.Helper()
	binary := filepath.Join(sharedDir(t), "fault")
	answer(t, nil, program(t, "cp", faultBinary, binary))
	answer(t, nil, program(t, "setcap", caps, binary))
	return binary
}

// visibleTo says whether programs of a user may look into a process.
func (p *process) visibleTo(t testing.TB, who *syscall.Credential) bool {
	t.Helper()
	return visible(t, who, p.Process.Pid)
}

// To look is to read what a descriptor is, for which the kernel asks whether
// they may trace the process: the list of descriptors is the owner's already.
func visible(t testing.TB, who *syscall.Credential, pid int) bool {
	t.Helper()
	stdout, _, code := finish(t, nil, as(who, program(t, "readlink", fmt.Sprintf("/proc/%d/fd/0", pid))))
	return code == 0 && stdout != ""
}

// hasNoCapability looks at all threads of a process.
func (p *process) hasNoCapability(t testing.TB) {
	t.Helper()
	statuses, err := filepath.Glob(p.procPath("task", "*", "status"))
	if err != nil || len(statuses) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	sets := regexp.MustCompile(`(?m)^(Cap(?:Inh|Prm|Eff|Amb)):\s+([0-9a-f]+)$`)
	for _, status := range statuses {
		text, err := os.ReadFile(status)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has ended
		}
		found := sets.FindAllStringSubmatch(string(text), -1)
		if err != nil || len(found) != 4 {
			t.Fatalf("%s: %v\n%s", status, err, text)
		}
		for _, set := range found {
			if strings.Trim(set[2], "0") != "" {
				t.Errorf("%s: %s is %s, want none", status, set[1], set[2])
			}
		}
	}
}

// children are the processes that a process has started.
func (p *process) children(t testing.TB) []int {
	t.Helper()
	lists, err := filepath.Glob(p.procPath("task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, pid := range strings.Fields(string(text)) {
			pids = append(pids, number(t, pid))
		}
	}
	return pids
}

// processesOf are those that run a file.
func processesOf(binary string) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	var found []string
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == binary {
			found = append(found, link)
		}
	}
	return found
}

// TestVisibleWhileStarting wants other programs of the user to be able to look
// into an agent before it is ready, though not into what has capabilities, and
// to be able to end it.
func TestVisibleWhileStarting(t *testing.T) {
	needs(t, "setcap", "setpriv")
	nobody := credential(t, "nobody")
	for name, ambient := range map[string]string{
		"capabilities of the file": "",
		"ambient capabilities":     "+bpf,+net_admin,+perfmon",
	} {
		t.Run(name, func(t *testing.T) {
			binary, setpriv := faultBinary, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
			if ambient == "" {
				binary = withCapabilities(t, intercepting)
			} else {
				setpriv = append(setpriv, "--inh-caps="+ambient, "--ambient-caps="+ambient)
			}
			h := newHost(t)
			asked := h.swallowUDP(t, "127.0.0.1:53") // what does not answer is asked for long
			p := start(t, h, program(t, "unshare", append([]string{"--mount", "sh", "-c",
				`mount --bind "$0" /etc/resolv.conf && exec "$@"`,
				writeFile(t, sharedDir(t)+"/resolv.conf", "nameserver 127.0.0.1\n")},
				append(setpriv, binary, "run", "--upstream", "nobody-knows.invalid")...)...))
			select {
			case <-asked:
			case <-time.After(patience):
				t.Fatalf("nobody is asked:\n%s", tail(&p.stderr))
			}
			if !p.visibleTo(t, nobody) {
				t.Error("others cannot look into it")
			}
			p.hasNoCapability(t)
			children := p.children(t)
			if len(children) != 1 || visible(t, nobody, children[0]) {
				t.Errorf("children %v, want one into which nobody can look", children)
			}
			p.signal(t, syscall.SIGTERM)
			p.endsWithin(t, time.Second, 0)
			if text := p.stderr.String(); text != "" {
				t.Errorf("standard error: %s", text)
			}
			for _, child := range children {
				if err := syscall.Kill(child, 0); !errors.Is(err, syscall.ESRCH) {
					t.Errorf("signal the child: %v, want %v", err, syscall.ESRCH)
				}
			}
		})
	}
}

// TestEndedWhileStarting ends agents of a user at random moments of their
// start, and wants nothing to be left.
func TestEndedWhileStarting(t *testing.T) {
	needs(t, "setcap", "bpftool")
	nobody := credential(t, "nobody")
	binary := withCapabilities(t, intercepting)
	for name, end := range map[string]struct {
		signal syscall.Signal
		code   int
	}{
		"SIGKILL": {syscall.SIGKILL, -1},
		"SIGTERM": {syscall.SIGTERM, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			cgroup := h.isolate(t)
			for range 20 {
				p := start(t, h, as(nobody, exec.Command(binary, append([]string{"run", "--cgroup", cgroup}, latency...)...)))
				if end.signal == syscall.SIGTERM { // by then it is waited for
					eventually(t, "it listens", func() bool { return len(p.listening()) > 0 })
				}
				time.Sleep(rand.N(120 * time.Millisecond))
				p.signal(t, end.signal)
				if code := p.await(t); code != end.code {
					t.Errorf("exit %d, want %d\n%s", code, end.code, tail(&p.stderr))
				}
				if text := p.stderr.String(); text != "" {
					t.Errorf("standard error: %s", text)
				}
				eventually(t, "its child has ended", func() bool { return len(processesOf(binary)) == 0 })
				detached(t)
			}
		})
	}
}

// TestTwoAgents wants agents of one namespace and cgroup to leave each other's
// connections alone, with privilege and without.
func TestTwoAgents(t *testing.T) {
	needs(t, "setcap")
	nobody := credential(t, "nobody")
	binary := withCapabilities(t, intercepting)
	for name, users := range map[string][2]*syscall.Credential{
		"both of users":   {nobody, nobody},
		"root's second":   {nobody, nil},
		"root's first":    {nil, nobody},
		"both are root's": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			client := newClient(t, server)
			cgroup := client.isolate(t)
			var agents []*agent
			for _, who := range users {
				cmd := exec.Command(binary, "run", "--cgroup", cgroup, "--proxy-address", "127.0.0.1:0", "--upstream", "*")
				cmd.Env = cleanEnvironment()
				if who != nil {
					cmd = as(who, cmd)
				}
				agents = append(agents, client.runs(t, cmd))
			}
			for _, address := range []string{server.serveEcho(t, "192.0.2.10:0"), server.serveEcho(t, "[2001:db8::10]:0")} {
				if met := (visitor{network: "tcp", address: address}).visit(t, client); met.direct || met.peer != address {
					t.Errorf("%s: %+v", address, met)
				}
			}
			// The one that sees a connect first carries it.
			flows := 0
			for _, a := range agents {
				flows += a.stop(t).flows
			}
			if flows != 2 {
				t.Errorf("%d flows, want 2", flows)
			}
		})
	}
}

// TestPrivilegeOfOthers looks at what runs for long and intercepts nothing: it
// keeps its capabilities only until it listens.
func TestPrivilegeOfOthers(t *testing.T) {
	needs(t, "setcap")
	nobody := credential(t, "nobody")
	binary := withCapabilities(t, "cap_net_bind_service,"+intercepting)
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"proxy": {[]string{"run", "--proxy-address", "127.0.0.1:80"}, "\nready after "},
		"demo":  {[]string{"demo", "run", "127.0.0.1", "80"}, "demo on http://127.0.0.1"},
		"mapping of an agent that intercepts": {
			[]string{"run", "--cgroup", "", "--upstream", "192.0.2.99", "--proxy", "80=192.0.2.99:80"}, "\nready after ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			for i, arg := range tc.args {
				if arg == "--cgroup" {
					tc.args[i+1] = h.isolate(t)
				}
			}
			p := start(t, h, as(nobody, exec.Command(binary, tc.args...)))
			p.says(t, tc.says)
			p.hasNoCapability(t)
			if !p.visibleTo(t, nobody) {
				t.Error("others cannot look into it")
			}
			const http = ":0050" // the port, as the kernel writes it
			if at := p.listening(); !slices.ContainsFunc(at, func(a string) bool { return strings.HasSuffix(a, http) }) {
				t.Errorf("it listens on %v", at)
			}
			p.signal(t, syscall.SIGTERM)
			p.endsWithin(t, patience, 0)
		})
	}
}

// TestSteeredByItsUser steers an agent that has dropped its capabilities, by
// programs that never had any.
func TestSteeredByItsUser(t *testing.T) {
	needs(t, "setcap")
	nobody := credential(t, "nobody")
	server := newServer(t)
	client := newClient(t, server)
	echo := server.serveEcho(t, "192.0.2.10:0")
	a := client.runs(t, as(nobody, exec.Command(withCapabilities(t, intercepting),
		append([]string{"run", "--cgroup", client.isolate(t)}, latency...)...)))
	pid := strconv.Itoa(a.Process.Pid)
	says := func(want string, args ...string) {
		t.Helper()
		if said := answer(t, client, as(nobody, fault(args...))); !strings.Contains(said, want) {
			t.Errorf("fault %s says %q, want %q", strings.Join(args, " "), said, want)
		}
	}
	slow := func(want bool) {
		t.Helper()
		if met := (visitor{network: "tcp", address: echo}).visit(t, client); (met.ms >= 100) != want || met.direct {
			t.Errorf("a connection: %+v; is it slow? want %t", met, want)
		}
	}
	says(pid, "status")
	says("paused", "pause", pid)
	slow(false)
	says("resumed", "resume", pid)
	slow(true)
	says(pid, "stop", pid)
	if s := a.summary(t); s.flows != 2 {
		t.Errorf("%d flows, want 2", s.flows)
	}
	if met := (visitor{network: "tcp", address: echo}).visit(t, client); !met.direct {
		t.Errorf("after the end: %+v", met)
	}
}
