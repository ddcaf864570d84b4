package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/faultproxy/fault/agent/callers"
)

const callersTitle = "Callers"

// callerFlags say whose connections are intercepted.
type callerFlags struct{ all []*selectors }

// formerly are flags by the names that they had.
var formerly = map[string]string{"capture-process": string(callers.Process), "capture-pid": string(callers.PID)}

func addCallerFlags(cmd *cobra.Command) *callerFlags {
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if now, ok := formerly[name]; ok {
			name = now
		}
		return pflag.NormalizedName(name)
	})
	f := &callerFlags{}
	s := section{cmd, callersTitle}
	add := func(kind callers.Kind, word, line, paragraph string, choices func() []string, variables ...string) {
		v := &selectors{kind: kind, word: word, choices: choices}
		f.all = append(f.all, v)
		more(s.value(v, string(kind), line, variables...), paragraph)
	}
	add(callers.Process, "NAME|PATH", "only processes of this name, or of this file",
		"A name is that of `/proc/PID/comm`, of which 15 bytes are compared, or of the file that the process runs, whatever its threads are called. "+
			"What has a slash is the path of that file; if another takes its place, both count. Processes that start later count, too, their children only if they match themselves. "+
			"`--capture-process` is the same. Of several callers, of this and other kinds, each is meant; with `--stealth`, `--upstream` is then `*` by default.",
		processNames, "FAULT_PROCESS", "FAULT_EBPF_PROCESS_NAME")
	add(callers.PID, "PID", "only this process and its children",
		"The number is that of the initial pid namespace. Children count, now and later, and theirs, also when their parents have ended. "+
			"`--capture-pid` is the same.",
		pids, "FAULT_PID", "FAULT_EBPF_PROCESS_PID")
	add(callers.User, "NAME|UID", "only processes of this user",
		"It is the real user that counts, as `ps -o ruser` shows it.",
		userNames, "FAULT_USER")
	add(callers.Cgroup, "PATH", "only this cgroup2 folder and below",
		"A folder such as `/sys/fs/cgroup/system.slice`, or its path below the mount: `/system.slice`. "+
			"It counts where a process is when it connects, and not where its socket was made.",
		nil, "FAULT_CGROUP")
	add(callers.Unit, "UNIT", "only this unit of systemd, as nginx.service",
		"The unit of the system or of any user, by the name of its cgroup. It may start, or start again, later.",
		unitNames, "FAULT_UNIT")
	add(callers.Container, "ID|NAME", "only this container",
		"By its id, at least 6 digits of it, or its name: of Docker, Podman, containerd (nerdctl, Kubernetes), runc, systemd-nspawn or LXC. "+
			"It may start later; one whose id an engine has to be asked for is noticed 0.25 s later. "+
			"Its network namespace is intercepted as if `--netns` named it, also if the container comes, or starts again, later: then some 0.25 s after its start, and if fault runs as root.",
		containerNames, "FAULT_CONTAINER")
	add(callers.ExceptProcess, "NAME|PATH", "never these processes",
		"As `--process`. It wins over all other callers; alone, it leaves out these of all.",
		processNames, "FAULT_EXCLUDE_PROCESS")
	return f
}

// set is all of them.
func (f *callerFlags) set() callers.Set {
	var set callers.Set
	for _, v := range f.all {
		set = append(set, v.set...)
	}
	return set
}

// flags are the names of those that say whose connections are intercepted.
func (f *callerFlags) flags() []string {
	names := []string{"netns"}
	for _, v := range f.all {
		names = append(names, string(v.kind))
	}
	return names
}

// given is the first of them that was; "" if none was.
func (f *callerFlags) given(line *commandLine) string {
	flags := f.flags()
	if i := slices.IndexFunc(flags, line.given); i >= 0 {
		return flags[i]
	}
	return ""
}

// selectors is a flag value: those of a kind.
type selectors struct {
	kind    callers.Kind
	word    string
	set     callers.Set
	choices func() []string // what the shell offers
}

func (s *selectors) Type() string               { return s.word }
func (s *selectors) String() string             { return strings.Join(s.GetSlice(), ",") }
func (s *selectors) split(text string) []string { return []string{text} }

// GetSlice is for cobra, which then offers the flag again.
func (s *selectors) GetSlice() []string {
	var texts []string
	for _, one := range s.set {
		texts = append(texts, one.Value)
	}
	return texts
}

func (s *selectors) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		parsed, err := callers.Parse(s.kind, one)
		if err != nil {
			return err
		}
		s.set = append(s.set, parsed)
	}
	return nil
}

func (s *selectors) complete(typed string) ([]string, cobra.ShellCompDirective) {
	if s.choices == nil {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	before := typed[:strings.LastIndex(typed, ",")+1]
	if strings.ContainsRune(typed[len(before):], filepath.Separator) {
		return nil, cobra.ShellCompDirectiveDefault // files
	}
	var words []string
	for _, word := range s.choices() {
		if before != "" { // see patterns.complete
			word, _, _ = strings.Cut(word, "\t")
		}
		words = append(words, before+word)
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
