package agent

import (
	"fmt"
	"strings"
	"testing"
)

func TestHostsOf(t *testing.T) {
	const file = `
127.0.0.1 localhost
10.0.0.1	API.test.  alias # other
10.0.0.2 one.test two.test
10.0.0.2 three.test
::ffff:10.0.0.3 x.wild.test
fe80::1%lo wild.test # 10.0.0.4 commented
10.0.0.1 four.test
10.0.0.5
nonsense api.test
`
	got := hostsOf(upstreamsOf(t, "api.test:80", "!*.wild.test", "10.0.0.0/8"), strings.NewReader(file))
	want := "map[api.test:[10.0.0.1] four.test:[10.0.0.1] localhost:[127.0.0.1] one.test:[10.0.0.2] wild.test:[fe80::1] x.wild.test:[10.0.0.3]]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v\nwant\n%s", got, want)
	}
}

func TestSearchDomains(t *testing.T) {
	const file = "domain old.test\nnameserver 192.0.2.1\n search NS.svc.test svc.test. .\n#search not.test\n"
	domains := searchDomains(strings.NewReader(file))
	if got := fmt.Sprint(domains); got != "[ns.svc.test svc.test]" {
		t.Errorf("found %s", got)
	}
	var names []string
	for _, r := range nameRules(upstreamsOf(t, "!db:5432", "*.wild.test"), domains) {
		names = append(names, fmt.Sprint(r))
	}
	if got, want := strings.Join(names, " "), "{db false 5432 true} {db.ns.svc.test false 5432 true} {db.svc.test false 5432 true} {wild.test true 0 false}"; got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
}

// TestLocalhost is a name that means its addresses: what else they are called
// is the same host.
func TestLocalhost(t *testing.T) {
	all := rules(upstreamsOf(t, "localhost:5432", "!localhost:22"))
	if got, want := fmt.Sprint(all), "[{127.0.0.1/32 5432 false true true} {::1/128 5432 false true true} {127.0.0.1/32 22 true true true} {::1/128 22 true true true}]"; got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
}
