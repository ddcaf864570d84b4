package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// offered is what the shell is told for a command line whose last word is being
// typed, and the directive that says what else to offer.
func offered(t *testing.T, line string) (words []string, directive string) {
	t.Helper()
	o := try(nil, append([]string{"__complete"}, strings.Split(line, " ")...)...)
	rows := strings.Split(strings.TrimSuffix(o.stdout, "\n"), "\n")
	if o.code != 0 || len(rows) == 0 {
		t.Fatalf("%s: exit %d, %s", line, o.code, o.stderr)
	}
	return rows[:len(rows)-1], rows[len(rows)-1]
}

// Directives of cobra: nothing else, in this order; files; folders.
const (
	nothingElse, inThisOrder = ":4", ":36"
	files, folders           = ":0", ":16"
)

func TestCompletion(t *testing.T) {
	for line, want := range map[string]struct{ word, directive string }{
		"":                               {"run\tInject faults until", nothingElse},
		"ru":                             {"run\tInject faults until", nothingElse},
		"run ":                           {"", nothingElse},
		"run extra ":                     {"", nothingElse},
		"run --tls-":                     {"--tls-ca\ttrust the authorities", nothingElse},
		"run --latency-distribution ":    {"uniform\ttakes --latency-min, --latency-max", inThisOrder},
		"run --latency-on ":              {"connect\tthe answer to a connect", inThisOrder},
		"run --connect-error-kind ":      {"reset\taccepted, and then reset", inThisOrder},
		"run --latency-distribution=":    {"uniform\ttakes", inThisOrder},
		"run --bandwidth-unit ":          {"mbps\t10^6 bits a second", inThisOrder},
		"run --transparent ":             {"off\texplicit only", inThisOrder},
		"run --jitter-direction ":        {"egress\twhat the proxy sends", inThisOrder},
		"run --latency-sched ":           {"_activeHelp_ periods such as start:30s", nothingElse},
		"run --duration ":                {"_activeHelp_ a duration such as 90", nothingElse},
		"run --proxy ":                   {"_activeHelp_ LISTEN=TARGET is such as 9090=https://", nothingElse},
		"run --proxy-address ":           {"_activeHelp_ ADDRESS is such as 127.0.0.1:3180", nothingElse},
		"run --latency-mean ":            {"_activeHelp_ MS is a number of milliseconds, 0 to 86400000", nothingElse},
		"run --seed ":                    {"_activeHelp_ N is a whole number", nothingElse},
		"run --http-response-body ":      {"", nothingElse},
		"run --tail=":                    {"true", nothingElse},
		"run --tail ":                    {"", nothingElse},
		"run --json=":                    {"", files},
		"run --json ":                    {"", nothingElse},
		"run --log-file ":                {"", files},
		"run --tls-ca ":                  {"", files},
		"run --cgroup ":                  {"", folders},
		"run --netns ":                   {"self\tthat of fault itself", inThisOrder},
		"run --netns red,":               {"red,self", inThisOrder},
		"run --netns red --netn":         {"--netns\t", nothingElse},
		"run --user ":                    {"root", inThisOrder},
		"run --user root,":               {"root,root", inThisOrder},
		"run --process /usr/":            {"", files},
		"run -- curl ":                   {"", files},
		"run --upstream ":                {"*\tall but loopback and DNS", inThisOrder},
		"run --upstream a,!b,!":          {"a,!b,!*", inThisOrder},
		"--log-level ":                   {"warn", inThisOrder},
		"run --log-level ":               {"warn", inThisOrder},
		"demo ":                          {"run\tServe pages", nothingElse},
		"demo run ":                      {"", nothingElse},
		"demo run --port ":               {"_activeHelp_ PORT is a port, 0 to 65535", nothingElse},
		"help ":                          {"exit-codes\tWhat the exit codes mean", nothingElse},
		"help de":                        {"demo\tA small server", nothingElse},
		"help demo ":                     {"run\tServe", nothingElse},
		"completion ":                    {"fish\tGenerate", nothingElse},
		"run --upstream a --upstr":       {"--upstream\t", nothingElse},
		"run --proxy 1=h:80 --prox":      {"--proxy\t", nothingElse},
		"run --with-latency --with-late": {"", nothingElse},
	} {
		words, directive := offered(t, line)
		found := want.word == "" && len(words) == 0 || want.word != "" && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, want.word) })
		if !found || directive != want.directive {
			t.Errorf("%q: %q and %s, want %q and %s", line, words, directive, want.word, want.directive)
		}
	}
	for _, line := range []string{"run --eb", "run --http-response-d", "--a"} {
		if words, _ := offered(t, line); len(words) > 0 {
			t.Errorf("%q offers what is hidden: %q", line, words)
		}
	}
}

// TestCompletionNeedsNoVariables holds that it is there whatever they say.
func TestCompletionNeedsNoVariables(t *testing.T) {
	wrong := map[string]string{"FAULT_LOG_LEVEL": "?", "FAULT_LATENCY_MEAN": "?"}
	for _, args := range [][]string{{"completion", "bash"}, {"completion", "powershell"}, {"__complete", "run", "--latency-d"}} {
		if o := try(wrong, args...); o.code != 0 || o.stdout == "" {
			t.Errorf("%v: exit %d, %s", args, o.code, o.stderr)
		}
	}
}

// TestCompletionSaysHowToInstallIt, by cobra's texts.
func TestCompletionSaysHowToInstallIt(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "source <(fault completion bash)", "zsh": "source <(fault completion zsh)",
		"fish": "fault completion fish | source", "powershell": "fault completion powershell | Out-String",
	} {
		if o := try(nil, "completion", shell, "--help"); o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("%s: exit %d, %s%s", shell, o.code, o.stdout, o.stderr)
		}
	}
}

func TestHostNames(t *testing.T) {
	const file = "# hosts\n127.0.0.1 localhost\n::1\tlocalhost ip6-localhost # not this\n\n10.0.0.9   db.internal db\n10.0.0.9 db bad:name:here b@d\n8.8.8.8"
	want := []string{"db", "db.internal", "ip6-localhost", "localhost"}
	if got := hostNames(strings.NewReader(file)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDistinctPeers(t *testing.T) {
	var peers []netip.AddrPort
	for _, text := range []string{"10.0.0.9:5432", "[2001:db8::1]:443", "10.0.0.9:443", "10.0.0.9:5432"} {
		peers = append(peers, netip.MustParseAddrPort(text))
	}
	want := []string{"10.0.0.9:443", "10.0.0.9:5432", "[2001:db8::1]:443"}
	got := distinctPeers(peers)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if o := try(nil, "run", "--upstream", strings.Join(got, ",")); o.code != 0 {
		t.Errorf("they are no upstreams: %s", o.stderr)
	}
}

// FuzzHostNames holds that what is offered is taken.
func FuzzHostNames(f *testing.F) {
	f.Add("127.0.0.1 localhost # here\n::1 a,b !c *.d")
	f.Fuzz(func(t *testing.T, file string) {
		for _, name := range hostNames(strings.NewReader(file)) {
			if err := new(patterns).Set(name); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
		}
	})
}
