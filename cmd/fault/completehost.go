package main

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// complete offers the names of /etc/hosts and whom this host is connected to.
// Of a list it completes the last one.
func (p *patterns) complete(typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	if strings.HasPrefix(typed[len(before):], "!") {
		before += "!"
	}
	offer := func(pattern, meaning string) string {
		if before != "" {
			// Among words with a meaning, cobra's bash looks for one as it would be
			// quoted, with `\,` and `\!`.
			meaning = ""
		}
		return described(before+pattern, meaning)
	}
	choices := []string{offer("*", "all but loopback and DNS")}
	if hosts, err := os.Open("/etc/hosts"); err == nil {
		defer hosts.Close()
		for _, name := range hostNames(hosts) {
			choices = append(choices, offer(name, "in /etc/hosts"))
		}
	}
	for _, peer := range distinctPeers(peers()) {
		choices = append(choices, offer(peer, "connected now"))
	}
	return choices, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// hostNames are the names of a hosts(5) file that may be upstreams, sorted.
func hostNames(file io.Reader) []string {
	var names []string
	rows := bufio.NewScanner(file)
	for rows.Scan() {
		row, _, _ := strings.Cut(rows.Text(), "#")
		fields := strings.Fields(row)
		for _, name := range fields[min(1, len(fields)):] {
			if new(patterns).Set(name) == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// distinctPeers are them as upstreams, sorted, each once.
func distinctPeers(open []netip.AddrPort) []string {
	slices.SortFunc(open, netip.AddrPort.Compare)
	var texts []string
	for _, peer := range slices.Compact(open) {
		texts = append(texts, peer.String())
	}
	return texts
}
