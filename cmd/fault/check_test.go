package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/faultproxy/fault/agent/check"
	"github.com/faultproxy/fault/agent/style"
)

// asDesigned is a host with capabilities for IPv4 only.
func asDesigned() check.Result {
	return check.Result{
		Transparent: check.Verdict{Possible: true, Except: "IPv6"}, Explicit: check.Verdict{Possible: true},
		Probes: []check.Probe{
			{Name: "kernel", State: check.OK, Text: "6.8.0-45-generic x86_64, BTF, cgroup links"},
			{Name: "cgroup2", State: check.OK, Text: "/sys/fs/cgroup, the whole host"},
			{Name: "capabilities", State: check.Missing, Text: "cap_perfmon: IPv6 is left alone",
				Fix: `sudo setcap cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep "$(command -v fault)"`},
			{Name: "seccomp", State: check.OK, Text: "no filter"},
			{Name: "lockdown", State: check.Unknown, Text: "/sys/kernel/security is not mounted"},
			{Name: "programs", State: check.OK, Text: "4 loaded, attached to an empty cgroup, detached: 12 ms"},
			{Name: "held SYN", State: check.OK, Text: "connect(2) will show refused, unreachable and timeout"},
			{Name: "left behind", State: check.OK, Text: "nothing of an earlier run"},
		},
	}
}

// impossible is a host without privilege, and with a hostile kernel.
func impossible() check.Result {
	return check.Result{
		Transparent: check.Verdict{Why: "cap_bpf and cap_net_admin are missing (uid 1000)"}, Explicit: check.Verdict{Possible: true},
		Probes: []check.Probe{
			{Name: "kernel", State: check.Missing, Text: "5.4\x1b[2J\tx86_64…", Fix: "Linux 5.8, or `--transparent off`"},
			{Name: "left behind", State: check.Found, Text: "fault_connect4 attached, and no process holds them"},
		},
	}
}

func TestCheckTable(t *testing.T) {
	for name, tc := range map[string]struct {
		result check.Result
		style  style.Style
		want   string
	}{
		"as designed": {asDesigned(), style.Style{Columns: 80}, `
transparent yes, except IPv6    explicit yes

ok       kernel        6.8.0-45-generic x86_64, BTF, cgroup links
ok       cgroup2       /sys/fs/cgroup, the whole host
missing  capabilities  cap_perfmon: IPv6 is left alone
         fix           sudo setcap \
                         cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep \
                         "$(command -v fault)"
ok       seccomp       no filter
unknown  lockdown      /sys/kernel/security is not mounted
ok       programs      4 loaded, attached to an empty cgroup, detached: 12 ms
ok       held SYN      connect(2) will show refused, unreachable and timeout
ok       left behind   nothing of an earlier run
`},
		"100 columns, in roles": {asDesigned(), style.Style{Columns: 100, Palette: style.Marked}, `
‹title›transparent‹/› ‹good›yes‹/›, except IPv6    ‹title›explicit‹/› ‹good›yes‹/›

‹good›ok‹/›       ‹title›kernel‹/›        6.8.0-45-generic x86_64, BTF, cgroup links
‹good›ok‹/›       ‹title›cgroup2‹/›       /sys/fs/cgroup, the whole host
‹warn›missing‹/›  ‹title›capabilities‹/›  cap_perfmon: IPv6 is left alone
         ‹title›fix‹/›           sudo setcap cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep \
                         "$(command -v fault)"
‹good›ok‹/›       ‹title›seccomp‹/›       no filter
‹dim›unknown‹/›  ‹title›lockdown‹/›      /sys/kernel/security is not mounted
‹good›ok‹/›       ‹title›programs‹/›      4 loaded, attached to an empty cgroup, detached: 12 ms
‹good›ok‹/›       ‹title›held SYN‹/›      connect(2) will show refused, unreachable and timeout
‹good›ok‹/›       ‹title›left behind‹/›   nothing of an earlier run
`},
		"40 columns": {asDesigned(), style.Style{Columns: 40}, `
transparent yes, except IPv6
explicit yes

ok       kernel
  6.8.0-45-generic x86_64, BTF, cgroup
  links
ok       cgroup2
  /sys/fs/cgroup, the whole host
missing  capabilities
  cap_perfmon: IPv6 is left alone
         fix
  sudo setcap \
    cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep \
    "$(command -v fault)"
ok       seccomp
  no filter
unknown  lockdown
  /sys/kernel/security is not mounted
ok       programs
  4 loaded, attached to an empty cgroup,
  detached: 12 ms
ok       held SYN
  connect(2) will show refused,
  unreachable and timeout
ok       left behind
  nothing of an earlier run
`},
		"impossible, ASCII, in roles": {impossible(), style.Style{Columns: 60, ASCII: true, Palette: style.Marked}, `
‹title›transparent‹/› ‹warn›no‹/›, cap_bpf and cap_net_admin are missing (uid
            1000)
‹title›explicit‹/› ‹good›yes‹/›

‹warn›missing‹/›  ‹title›kernel‹/›        5.4?[2J x86_64~
         ‹title›fix‹/›           Linux 5.8, or ` + "`--transparent off`" + `
‹warn›found‹/›    ‹title›left behind‹/›   fault_connect4 attached, and no
                       process holds them
`},
	} {
		if got := rendered(reportOnHost(tc.result), false, tc.style); got != tc.want[1:] {
			t.Errorf("%s:\n%swant\n%s", name, got, tc.want[1:])
		}
	}
}

// TestCheckRows are for a pipe: four cells each.
func TestCheckRows(t *testing.T) {
	const want = "no\ttransparent\tcap_bpf and cap_net_admin are missing (uid 1000)\t\n" +
		"yes\texplicit\t\t\n" +
		"missing\tkernel\t5.4?[2J x86_64…\tLinux 5.8, or `--transparent off`\n" +
		"found\tleft behind\tfault_connect4 attached, and no process holds them\t\n"
	if got := rendered(reportOnHost(impossible()), false, style.Style{}); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	if got := rendered(reportOnHost(asDesigned()), false, style.Style{}); !strings.HasPrefix(got, "yes\ttransparent\texcept IPv6\t\nyes\texplicit\t\t\nok\tkernel\t") {
		t.Error(got)
	}
}

func TestCheckJSON(t *testing.T) {
	const want = `{"schema":1,"version":"0.1.0","transparent":{"possible":false,"why":"cap_bpf and cap_net_admin are missing (uid 1000)"},"explicit":{"possible":true},"probes":[` +
		`{"name":"kernel","state":"missing","text":"5.4\u001b[2J\tx86_64…","fix":"Linux 5.8, or ` + "`--transparent off`" + `"},` +
		`{"name":"left behind","state":"found","text":"fault_connect4 attached, and no process holds them"}]}` + "\n"
	got := rendered(reportOnHost(impossible()), true, style.Style{Columns: 20})
	if got != want || !json.Valid([]byte(got)) {
		t.Errorf("%swant\n%s", got, want)
	}
}

// FuzzCheckTable: whatever was found, no line steers a terminal, or is wider
// than the window unless its only word is.
func FuzzCheckTable(f *testing.F) {
	f.Add(80, "kernel", "6.8.0 x86_64", `sudo setcap "$(command -v fault)"`, "no reason")
	f.Add(9, "\x1b[2J", "東京\u202e\t\n", "sudo \" \" \"", "")
	f.Fuzz(func(t *testing.T, columns int, name, text, fix, why string) {
		columns = 30 + int(uint(columns)%300)
		r := check.Result{
			Transparent: check.Verdict{Why: why}, Explicit: check.Verdict{Possible: true, Except: why},
			Probes: []check.Probe{{Name: "kernel", State: check.OK, Text: text, Fix: fix}},
		}
		for line := range strings.Lines(checkTable(reportOnHost(r), style.Style{Columns: columns})) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(line, unicode.IsControl) {
				t.Errorf("%q", line)
			}
			words := strings.Fields(strings.TrimSuffix(line, `\`))
			if style.Width(line) > columns && len(words) > 3 && !strings.Contains(line, `"`) {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
		for line := range strings.Lines(checkRows(reportOnHost(r))) {
			if n := strings.Count(line, "\t"); n != 3 {
				t.Errorf("%d tabs: %q", n, line)
			}
		}
	})
}
