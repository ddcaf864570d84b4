package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/faultproxy/fault/"

// TestImportsGoOneWay holds the layout: what a package of ours may import of
// ours. The kernel's half and the proxy never meet but in agent.
func TestImportsGoOneWay(t *testing.T) {
	may := map[string][]string{
		// Only tests import what is in internal, so it imports nothing.
		"internal/processtest": {},
		"internal/requires":    {},

		"bench":          {"bench/load"},
		"bench/load":     {},
		"bpf":            {},
		"netns":          {},
		"faults":         {},
		"proxy/mapping":  {},
		"proxy/upstream": {},
		"proxy":          {"faults", "proxy/mapping"},
		"agent/event":    {},
		"agent/lines":    {},
		"agent/parent":   {},
		"agent/style":    {},
		"agent/words":    {},
		"agent/procfs":   {"agent/lines"},
		"agent/callers":  {"agent/procfs", "bpf"},
		"agent/command":  {"bpf"},
		"agent/sockdiag": {},
		"agent/control":  {"agent/event"},
		"agent/check":    {"agent", "agent/control", "agent/procfs", "agent/words", "bpf"},
		"agent":          {"agent/callers", "agent/control", "agent/event", "agent/lines", "agent/parent", "agent/procfs", "agent/sockdiag", "agent/style", "agent/words", "bpf", "faults", "netns", "proxy", "proxy/mapping", "proxy/upstream"},
		"cmd/fault/demo": {"agent/lines"},
		"cmd/fault/view": {"agent", "agent/lines", "agent/style", "agent/words", "faults"},
		"cmd/fault":      {"agent", "agent/callers", "agent/check", "agent/command", "agent/control", "agent/event", "agent/lines", "agent/parent", "agent/procfs", "agent/style", "agent/words", "cmd/fault/demo", "cmd/fault/view", "faults", "proxy", "proxy/mapping", "proxy/upstream"},
	}
	seen := make(map[string]bool)
	for _, line := range list(t, "linux", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		path, imports, _ := strings.Cut(line, " ")
		pkg := strings.TrimPrefix(path, module)
		if strings.HasPrefix(pkg, "scripts/") || pkg == "cmd/fault/e2e" {
			continue
		}
		allowed, known := may[pkg]
		if !known {
			t.Errorf("%s has no place in the layout", pkg)
		}
		seen[pkg] = true
		for _, imported := range strings.Fields(imports) {
			if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s", pkg, ours)
			}
		}
	}
	for pkg := range may {
		if !seen[pkg] {
			t.Errorf("there is no package %s", pkg)
		}
	}
}

// TestFaultsArePure holds that faults decide and do nothing else.
func TestFaultsArePure(t *testing.T) {
	for _, line := range list(t, "linux", "-f", `{{join .Imports "\n"}}`, module+"faults") {
		for _, no := range []string{"os", "io", "net", "sync", "log", "context", "syscall"} {
			if line == no || strings.HasPrefix(line, no+"/") || strings.HasPrefix(line, "go.uber.org/zap") {
				t.Errorf("faults imports %s", line)
			}
		}
	}
}

// TestOtherSystemsLinkNoKernelCode holds that only Linux carries eBPF and
// netlink.
func TestOtherSystemsLinkNoKernelCode(t *testing.T) {
	for _, system := range []string{"darwin", "windows"} {
		for _, dep := range list(t, system, "-deps", "./cmd/fault") {
			for _, no := range []string{"github.com/cilium/ebpf", "github.com/vishvananda/netlink", "github.com/vishvananda/netns"} {
				if strings.HasPrefix(dep, no) {
					t.Errorf("%s links %s", system, dep)
				}
			}
		}
	}
}

func list(t *testing.T, system string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
