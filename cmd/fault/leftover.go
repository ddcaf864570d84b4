package main

import "github.com/spf13/cobra"

// leftovers are flags of the original that are taken and do nothing here.
var leftovers = []struct {
	flag, variable string
	why            string
}{
	{"http-response-direction", "", "as a request is answered, not shaped"},
	{"ebpf-programs-dir", "FAULT_EBPF_PROGRAMS_DIR", "as the programs are inside the binary"},
	{"ebpf-proxy-ip", "FAULT_EBPF_PROXY_IP", "as there is one listener, at --proxy-address"},
	{"ebpf-proxy-iface", "FAULT_EBPF_PROXY_IFACE", "as there is one listener, at --proxy-address"},
	{"ebpf-proxy-port", "FAULT_EBPF_PROXY_PORT", "as there is one listener, whose port --proxy-address sets"},
}

// addLeftovers adds them, hidden.
func addLeftovers(cmd *cobra.Command) {
	for _, l := range leftovers {
		f := cmd.Flags().VarPF(&text{mayBeEmpty: true}, l.flag, "", "does nothing, "+l.why)
		f.Hidden = true
		if l.variable != "" {
			annotate(f, variableAnnotation, l.variable)
		}
	}
}

// ignoreLeftovers warns of those that were given.
func ignoreLeftovers(line *commandLine) {
	for _, l := range leftovers {
		line.ignore(l.why, l.flag)
	}
}
