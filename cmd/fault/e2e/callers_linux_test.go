package e2e

import (
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/event"
)

//go:embed testdata/caller.py
var callerPython string

// callers is a client with programs that connect to a server, which tells them
// whom it sees.
type callers struct {
	t         *testing.T
	h, server *host
	addresses []string // of the server, for each family
	script    string   // of Python
}

func newCallers(t *testing.T) *callers {
	t.Helper()
	needs(t, "curl", "setpriv", "/usr/bin/python3")
	server := newServer(t)
	client := newClient(t, server)
	c := &callers{t: t, h: client, server: server, script: writeFile(t, filepath.Join(sharedDir(t), "caller.py"), callerPython)}
	for _, address := range []string{"192.0.2.10:80", "[2001:db8::10]:80"} {
		ln := server.listen(t, address)
		go func() {
			_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.RemoteAddr) }))
		}()
		c.addresses = append(c.addresses, address)
	}
	return c
}

// curlSees is a shell's command that says what curl and the server see, of the
// address that is its first argument.
const curlSees = `curl -gs --max-time 20 -w '%{local_ip} %{local_port}\n' "http://$1/"`

// seen is "direct" or "diverted", by what such a command said.
func seen(t *testing.T, said string) string {
	t.Helper()
	var server, ip string
	var port uint16
	if _, err := fmt.Sscan(said, &server, &ip, &port); err != nil {
		t.Fatalf("curl said %q: %v", said, err)
	}
	if server == net.JoinHostPort(ip, fmt.Sprint(port)) {
		return "direct"
	}
	if at, err := netip.ParseAddr(ip); err != nil || !at.Unmap().IsLoopback() {
		t.Errorf("curl is at %s, and the server sees %s", ip, server)
	}
	return "diverted"
}

// curl is how curl's connections go, of each family. It is started by the words
// before, if there are some.
func (c *callers) curl(before ...string) string {
	c.t.Helper()
	return c.curlAt(c.h, before...)
}

func (c *callers) curlAt(h *host, before ...string) string {
	c.t.Helper()
	args := append(before, "sh", "-c", curlSees, "sh")
	var all []string
	for _, address := range c.addresses {
		all = append(all, seen(c.t, answer(c.t, h, program(c.t, args[0], append(args[1:], address)...))))
	}
	return both(c.t, all)
}

// both is what was seen of both families, which is the same.
func both(t *testing.T, all []string) string {
	t.Helper()
	if all[0] != all[1] {
		t.Errorf("IPv4 %s, IPv6 %s", all[0], all[1])
	}
	return all[0]
}

// application is caller.py, which runs until the test ends.
type application struct {
	*conversation
	c *callers
}

func (c *callers) application() *application {
	c.t.Helper()
	cmd := program(c.t, "/usr/bin/python3", c.script)
	cmd.Env = append(cmd.Env, "CURL="+curlSees)
	a := &application{converse(c.t, c.h, cmd), c}
	if line := <-a.lines; line != "ready" { // and its worker is there
		c.t.Fatalf("the application says %q\n%s", line, tail(&a.stderr))
	}
	return a
}

// does has it connect, and returns how that went, of each family.
func (a *application) does(how string) string {
	a.c.t.Helper()
	var all []string
	for _, address := range a.c.addresses {
		all = append(all, a.says(how+" "+address))
	}
	return both(a.c.t, all)
}

func (a *application) says(what string) string {
	a.c.t.Helper()
	said, err := a.ask(what)
	if err != nil {
		a.c.t.Fatal(err)
	}
	if strings.Contains(said, " ") || strings.HasPrefix(what, "curl ") {
		// The server's line and curl's are two.
		more, ok := <-a.lines
		if !ok {
			a.c.t.Fatalf("%s: %q", what, said)
		}
		return seen(a.c.t, said+" "+more)
	}
	return said
}

// run starts an agent for callers, and returns with it what it found of each of
// them.
func (c *callers) run(flags ...string) (*agent, []event.Caller) {
	c.t.Helper()
	path, events := eventsFile(c.t)
	a := c.h.run(c.t, append([]string{"--with-latency", "--latency-mean", "50", "--upstream", "192.0.2.10,2001:db8::10", events}, flags...)...)
	return a, awaitStart(c.t, path).Interception.Callers
}

// checked is a run whose callers were seen so often; of each flow of theirs a
// delay was drawn, and of no other.
func (c *callers) checked(a *agent, diverted int) {
	c.t.Helper()
	if s := a.stop(c.t); s.matched != diverted || s.flows != diverted || s.errors != nil {
		c.t.Errorf("%+v, want %d flows, all of them delayed", s, diverted)
	}
}

// expect holds how connections go, each of both families, and that as many flows
// were met.
func (c *callers) expect(a *agent, want map[string]string, how func(what string) string) {
	c.t.Helper()
	diverted := 0
	for what, want := range want {
		if got := how(what); got != want {
			c.t.Errorf("%s: %s, want %s", what, got, want)
		}
		if want == "diverted" {
			diverted += len(c.addresses)
		}
	}
	c.checked(a, diverted)
}

// TestCallers holds for each kind of caller that what it selects is affected, and
// nothing else.
func TestCallers(t *testing.T) {
	needs(t)
	python, err := filepath.EvalSymlinks("/usr/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	const direct, diverted = "direct", "diverted"
	for name, tc := range map[string]struct {
		flags []string // %d is the application's pid
		found []event.Caller
		want  map[string]string
	}{
		"name": {[]string{"--process", "python3"}, []event.Caller{{Kind: "process", Value: "python3", Present: true}}, map[string]string{
			"ask": diverted, "thread": diverted, "worker": diverted, "child": diverted, "orphan": diverted, "later": diverted,
			"curl": direct, "program": direct}},
		"name of the file": {[]string{"--process", filepath.Base(python)}, nil, map[string]string{
			"ask": diverted, "thread": diverted, "later": diverted, "program": direct}},
		"name of a thread": {[]string{"--process", "HTTP Client"}, []event.Caller{{Kind: "process", Value: "HTTP Client"}}, map[string]string{
			"ask": direct, "thread": direct}},
		"file": {[]string{"--process", "/usr/bin/python3"}, nil, map[string]string{
			"ask": diverted, "thread": diverted, "worker": diverted, "later": diverted, "curl": direct, "program": direct}},
		"file that is not there": {[]string{"--process", "/nowhere/at/all"}, []event.Caller{{Kind: "process", Value: "/nowhere/at/all"}}, map[string]string{
			"ask": direct}},
		"two names": {[]string{"--process", "nobody,curl"}, nil, map[string]string{"ask": direct, "curl": diverted, "program": diverted}},
		"pid": {[]string{"--pid", "%d"}, nil, map[string]string{
			"ask": diverted, "thread": diverted, "worker": diverted, "child": diverted, "orphan": diverted, "curl": diverted,
			"later": direct, "program": direct}},
		"former flags": {[]string{"--capture-pid", "%d", "--capture-process", "curl"}, nil, map[string]string{
			"ask": diverted, "later": direct, "program": diverted}},
		"user": {[]string{"--user", "nobody"}, nil, map[string]string{
			"ask": direct, "program": direct, "program of nobody": diverted}},
		"user or name": {[]string{"--user", "65534", "--process", "python3"}, nil, map[string]string{
			"ask": diverted, "program": direct, "program of nobody": diverted}},
		"excluded": {[]string{"--exclude-process", "curl"}, nil, map[string]string{
			"ask": diverted, "later": diverted, "curl": direct, "program": direct}},
		"pid, but not curl": {[]string{"--pid", "%d", "--exclude-process", "/usr/bin/curl"}, nil, map[string]string{
			"ask": diverted, "child": diverted, "curl": direct, "program": direct, "later": direct}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCallers(t)
			app := c.application()
			for i, flag := range tc.flags {
				tc.flags[i] = strings.ReplaceAll(flag, "%d", fmt.Sprint(app.Process.Pid))
			}
			a, found := c.run(tc.flags...)
			for i, want := range tc.found {
				if got := found[i]; got.Kind != want.Kind || got.Value != want.Value || got.Present != want.Present || (*got.Processes > 0) != want.Present {
					t.Errorf("found %+v, want %+v", got, want)
				}
			}
			c.expect(a, tc.want, func(what string) string {
				switch what {
				case "later":
					return c.application().does("worker")
				case "program":
					return c.curl()
				case "program of nobody":
					return c.curl("setpriv", "--reuid=65534", "--clear-groups")
				}
				return app.does(what)
			})
		})
	}
}

// TestCallerCgroups holds that a process counts for the cgroup that it is in when
// it connects, whenever that was made, and whatever its socket was made in.
func TestCallerCgroups(t *testing.T) {
	needs(t)
	const direct, diverted = "direct", "diverted"
	for kind, tc := range map[string]struct{ flag, cgroup string }{
		"cgroup": {"--cgroup=%s", "fault-e2e-%d-cgroup"},
		"unit":   {"--unit=%s", "fault-e2e-%d.service"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCallers(t)
			name := fmt.Sprintf(tc.cgroup, os.Getpid())
			folder := filepath.Join(cgroup2(t), name)
			flag := fmt.Sprintf(tc.flag, name)
			var a *agent
			var found []event.Caller
			if kind == "unit" { // starts later
				a, found = c.run(flag)
				a.says(t, "unit "+name+": nothing yet: waits for it")
			}
			for _, path := range []string{folder, filepath.Join(folder, "payload")} {
				if err := os.Mkdir(path, 0o755); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if !within(patience, func() bool { return os.Remove(path) == nil }) {
						t.Errorf("cgroup %s cannot be removed", path)
					}
				})
			}
			if kind == "cgroup" { // has to be there
				a, found = c.run(flag)
			}
			if len(found) != 1 || *found[0].Processes != 0 || found[0].Present != (kind == "cgroup") {
				t.Errorf("found %+v", found)
			}
			in := func(path string) []string {
				return []string{"sh", "-c", `echo 0 >"$0/cgroup.procs" && exec "$@"`, path}
			}
			moves := func(from, to string) func() string {
				return func() string {
					app := c.application()
					defer app.in.(interface{ Close() error }).Close()
					app.says("enter " + from)
					app.says("open .")
					app.says("enter " + to)
					return app.says("use " + c.addresses[0])
				}
			}
			top := cgroup2(t)
			diverts := 0
			for what, is := range map[string]struct {
				does  func() string
				want  string
				flows int
			}{
				"in it":     {func() string { return c.curl(in(folder)...) }, diverted, 2},
				"below it":  {func() string { return c.curl(in(filepath.Join(folder, "payload"))...) }, diverted, 2},
				"beside it": {func() string { return c.curl() }, direct, 0},
				"moved in":  {moves(top, folder), diverted, 1},
				"moved out": {moves(folder, top), direct, 0},
			} {
				if got := is.does(); got != is.want {
					t.Errorf("%s: %s, want %s", what, got, is.want)
				}
				diverts += is.flows
			}
			c.checked(a, diverts)
		})
	}
}

// TestCallersRefused is what can never be found.
func TestCallersRefused(t *testing.T) {
	needs(t)
	h := newHost(t)
	for args, want := range map[string]string{
		"--pid 2147483646":           "error: --pid `2147483646`: there is no such process\n",
		"--user nobody-knows":        "error: --user `nobody-knows` is no user of this host; a number is taken in any case\n",
		"--cgroup /fault-is-nowhere": "error: --cgroup `/fault-is-nowhere`: no such file or directory\n",
	} {
		stdout, stderr, code := finish(t, h, fault(append([]string{"run", "--upstream", "*"}, strings.Fields(args)...)...))
		if code != 2 || !strings.HasPrefix(stderr, want) || stdout != "" {
			t.Errorf("%s: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
}
