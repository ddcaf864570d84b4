package main

import (
	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
)

const reachTitle = "Reach"

// reachFlags say what interception reaches beyond new TCP connections of our own
// network namespace.
type reachFlags struct {
	netns namespaces
	reset bool
	quic  word
}

// The words of --quic.
const (
	passQUIC  = "pass"
	blockQUIC = "block"
)

func addReachFlags(cmd *cobra.Command) *reachFlags {
	f := &reachFlags{quic: word{
		value: passQUIC, words: []string{passQUIC, blockQUIC},
		means: map[string]string{passQUIC: "let it go past the faults, and count it", blockQUIC: "have it fail, so that clients fall back to TCP"},
	}}
	s := section{cmd, reachTitle}
	more(s.value(&f.netns, "netns", "intercept in these network namespaces; repeatable", "FAULT_NETNS"),
		"Each is a name of `ip netns`, a path such as `/proc/PID/ns/net`, the id of a process in it, or `self`, which is that of fault itself and the default; a list has commas. "+
			"There is a listener in each, at the same port, and upstreams are dialled from inside. Connections of other namespaces are left alone. "+
			"A namespace whose name or process has gone, and in which no process is, is let go; the run goes on. "+
			"Clients that ask for a proxy, mappings and look-ups of names stay in fault's own. It takes `cap_sys_admin`.")
	more(s.toggle(&f.reset, "reset-existing", "reset matching connections that are open", "FAULT_RESET_EXISTING"),
		"Connections that were open before the run are not affected, and the start page counts those that match. "+
			"With this they are reset once new ones are intercepted, so that pools connect anew, through the faults. "+
			"Programs see `ECONNABORTED`, upstreams a reset. Connections that others opened to this host stay, and so does whatever is in doubt.")
	more(s.value(&f.quic, "quic", "let QUIC pass, or have it fail", "FAULT_QUIC"),
		"QUIC is UDP to port 443, over which HTTP/3 goes, and is not carried. With `block`, connecting and sending to matching upstreams fails with `EPERM`, "+
			"so that clients fall back to TCP. With `pass` the summary says how often it went past the faults.")
	return f
}

// check looks at the flags beside those that say whether connections are
// intercepted.
func (f *reachFlags) check(traffic *trafficFlags, line *commandLine) error {
	if traffic.transparent.value == string(agent.Off) {
		line.ignore("with --transparent off", "reset-existing", "quic")
		f.reset = false
		return nil
	}
	needs := ""
	switch {
	case traffic.intercepts():
		return f.checkNamespaces()
	case f.reset:
		needs = line.called("reset-existing")
	case f.quic.value == blockQUIC:
		needs = line.called("quic") + " " + blockQUIC
	default:
		return nil
	}
	return usage(needs+" needs --upstream, which says which connections", "`--upstream '*'` means all of them")
}

// checkNamespaces wants those that are asked for to be there.
func (f *reachFlags) checkNamespaces() error {
	for _, one := range f.netns {
		if err := agent.CheckNetns(one); err != nil {
			return err
		}
	}
	return nil
}
