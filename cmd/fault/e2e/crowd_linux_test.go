package e2e

import (
	"fmt"
	"net"
	"strconv"
	"testing"
)

// crowd opens connections to each of some echo servers, one after the other, and
// says how many are direct, of all that are open then: args are how many to each,
// and the addresses.
func crowd(args []string) error {
	each, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	direct, all := 0, 0
	for _, address := range args[1:] {
		for range each {
			c, err := dialEcho(&net.Dialer{}, "tcp", address)
			if err != nil {
				return fmt.Errorf("connection %d: %w", all+1, err)
			}
			defer c.Close()
			all++
			if c.direct() {
				direct++
			}
		}
	}
	fmt.Printf("%d of %d\n", direct, all)
	return nil
}

// TestPortsOfCallers holds that callers get all connections that they would get
// without the agent, to which all that are intercepted go: they would run out of
// ports for that.
func TestPortsOfCallers(t *testing.T) {
	needs(t)
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	other := server.serveEcho(t, "192.0.2.10:0")
	client := newClient(t, server)
	client.set(t, "ipv4/ip_local_port_range", "40000 40199")
	a := client.run(t, "--cgroup", client.isolate(t), "--with-latency", "--latency-mean", "1", "--upstream", "*")
	if got, want := answer(t, client, role(t, "crowd", "120", echo, other)), "90 of 240"; got != want {
		t.Errorf("direct are %s, want %s", got, want)
	}
	if s := a.stop(t); s.matched != 150 || s.leftAlone["above the limit of flows"] != 90 {
		t.Errorf("%d are matched, left alone %v", s.matched, s.leftAlone)
	}
}
