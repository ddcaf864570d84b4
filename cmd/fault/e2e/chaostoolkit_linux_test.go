package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestChaosToolkit runs experiments side by side, as they mostly wait; but
// apart from other tests, some of which measure times.
func TestChaosToolkit(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"examples": testToolkitExamples, "interrupted": testToolkitInterrupted, "killed": testToolkitKilled,
		"refused": testToolkitRefused, "twice": testToolkitTwice,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// toolkit is a host with the real Chaos Toolkit. What it starts is in a cgroup
// of its own, which is the topmost one to it: `--upstream '*'` reaches no
// further.
type toolkit struct {
	*host
	dir    string // of its files; everybody may write there
	cgroup string
	env    []string
	as     []string // the command by which it becomes another user; may be nil
}

// toolkitVenv is where its virtual environment is.
func toolkitVenv() string {
	if dir := os.Getenv("CHAOSTOOLKIT"); dir != "" {
		return dir
	}
	return examples("../../.venv")
}

// examples is the path of a file of examples/chaostoolkit/.
func examples(file string) string {
	path, _ := filepath.Abs(filepath.Join("../../../examples/chaostoolkit", file))
	return path
}

func needsToolkit(t *testing.T, tools ...string) {
	t.Helper()
	needs(t, append(tools, "bpftool", "curl", "ss", "unshare", "setpriv", filepath.Join(toolkitVenv(), "bin/chaos"))...)
}

// asNobody is a user without privilege.
var asNobody = []string{"setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"}

// newToolkit makes a host that is joined to a server.
func newToolkit(t *testing.T, server *host) *toolkit {
	t.Helper()
	k := &toolkit{host: newClient(t, server), dir: sharedDir(t)}
	k.cgroup = k.isolate(t)
	err := os.Chmod(k.dir, 0o777)
	if err == nil {
		err = os.Symlink(faultBinary, filepath.Join(k.dir, "fault"))
	}
	if err != nil {
		t.Fatal(err)
	}
	k.env = append(cleanEnvironment(), "PATH="+k.dir+":"+os.Getenv("PATH")+":/usr/sbin:/sbin", "HOME="+k.dir,
		"PYTHONPATH="+examples(""), "TARGET="+pageURL("http", server.v4))
	// A test that fails must not leave an agent that waits for its end.
	t.Cleanup(func() { _ = os.WriteFile(filepath.Join(k.cgroup, "cgroup.kill"), []byte("1"), 0) })
	return k
}

// experiment is a `chaos run` that has been started.
type experiment struct {
	*process
	k    *toolkit
	path string // of the journal
}

// starts runs an experiment, which is in a file.
func (k *toolkit) starts(t *testing.T, file string, flags ...string) *experiment {
	t.Helper()
	path := filepath.Join(k.dir, "journal.json")
	// The kernel takes no file system twice in the same place.
	const inside = `umount -l "$0" && mount -t cgroup2 none "$0" && exec "$@"`
	args := append([]string{"--cgroup", "--mount", "sh", "-c", inside, cgroup2(t)}, k.as...)
	args = append(args, filepath.Join(toolkitVenv(), "bin/chaos"), "--no-version-check", "--log-file", "chaos.log",
		"run", "--journal-path", path)
	cmd := program(t, "unshare", append(append(args, flags...), file)...)
	cmd.Dir, cmd.Env = k.dir, k.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as shells do, for Ctrl-C
	return &experiment{start(t, k.host, cmd), k, path}
}

// pauses waits until the experiment is at its pause of 30 s. It must also be done
// with writing that: what a signal raises there is lost in Python's logging.
func (e *experiment) pauses(t *testing.T) {
	t.Helper()
	eventually(t, "the experiment pauses", func() bool { return contains(&e.stderr, "for 30s...") })
	eventually(t, "the toolkit rests", func() bool {
		// Its state, and the times that it has computed.
		before := strings.Fields(found(t, readFile(t, e.procPath("stat")), `\) (.*)`)[1])
		time.Sleep(100 * time.Millisecond)
		after := strings.Fields(found(t, readFile(t, e.procPath("stat")), `\) (.*)`)[1])
		return after[0] == "S" && slices.Equal(before[11:13], after[11:13])
	})
}

// runs runs an experiment to its end, and wants it to leave nothing.
func (k *toolkit) runs(t *testing.T, file string, flags ...string) *journal {
	t.Helper()
	e := k.starts(t, file, flags...)
	if code := e.await(t); code != 0 {
		t.Errorf("chaos: exit %d\n%s", code, tail(&e.stdout))
	}
	j := e.journal(t)
	k.isClean(t)
	return j
}

// isClean holds that nothing is left on a host, soon after the toolkit has
// ended.
func (k *toolkit) isClean(t *testing.T) {
	t.Helper()
	const soon = 2 * time.Second
	processes := func() string { return readFile(t, filepath.Join(k.cgroup, "cgroup.procs")) }
	if !within(soon, func() bool { return processes() == "" }) {
		for _, pid := range strings.Fields(processes()) {
			command, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
			t.Errorf("a process is left: %s %q", pid, command)
		}
	}
	// The kernel lets go of links a little after their last holder has gone.
	if !within(soon, func() bool { return !strings.Contains(attached(t, k.cgroup), "fault_") }) {
		t.Errorf("still attached:\n%s", attached(t, k.cgroup))
	}
	if sockets := answer(t, &host{ns: k.ns}, program(t, "ss", "-Hltn")); sockets != "" {
		t.Errorf("somebody still listens:\n%s", sockets)
	}
}
