package agent

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/faultproxy/fault/proxy/upstream"
)

// hostsPath and resolverPath are where programs find names and domains, too.
const (
	hostsPath    = "/etc/hosts"
	resolverPath = "/etc/resolv.conf"
)

// inFile is what a reader makes of a file; nothing if that cannot be read.
func inFile[T any](path string, read func(io.Reader) T) T {
	f, err := os.Open(path)
	if err != nil {
		return read(strings.NewReader(""))
	}
	defer f.Close()
	return read(f)
}

// hostsOf is the addresses that a hosts(5) file has for names of patterns, and
// one other name for each address that has one. Names in one row are the same
// host: if one of them is meant, the others are not other hosts.
func hostsOf(set upstream.Set, file io.Reader) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	others := make(map[netip.Addr]bool)
	for rows := bufio.NewScanner(file); rows.Scan(); {
		row, _, _ := strings.Cut(rows.Text(), "#")
		fields := strings.Fields(row)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		addr = addr.Unmap().WithZone("")
		for i, name := range fields {
			fields[i] = strings.ToLower(strings.TrimSuffix(name, "."))
		}
		names := slices.DeleteFunc(slices.Clone(fields[1:]), func(name string) bool { return !named(set, name) })
		if len(names) == 0 && !others[addr] {
			others[addr] = true
			names = fields[1:2]
		}
		for _, name := range names {
			hosts[name] = append(hosts[name], addr)
		}
	}
	return hosts
}

// named says whether a pattern is about a name.
func named(set upstream.Set, name string) bool {
	return slices.ContainsFunc(set, func(p upstream.Pattern) bool {
		return p.Host == name && name != "" || p.Domain != "" && strings.HasSuffix(name, "."+p.Domain)
	})
}

// searchDomains is those of a resolv.conf(5): programs that look `db` up may ask
// for db.default.svc.cluster.local.
func searchDomains(file io.Reader) []string {
	var domains []string
	for rows := bufio.NewScanner(file); rows.Scan(); {
		fields := strings.Fields(rows.Text())
		if len(fields) > 0 && (fields[0] == "search" || fields[0] == "domain") {
			domains = fields[1:]
		}
	}
	for i, d := range domains {
		domains[i] = strings.Trim(strings.ToLower(d), ".")
	}
	return slices.DeleteFunc(domains, func(d string) bool { return d == "" })
}
