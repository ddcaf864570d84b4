package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func init() { roles["pace"] = pace }

// pace connects to an echo server so often, from so many goroutines, and
// prints in µs what a connect took, what it took until the greeting was there,
// both medians, and how many connections there were in a second.
func pace(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	workers, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	connects, greetings := make([]time.Duration, n), make([]time.Duration, n)
	errs := make([]error, workers)
	var all sync.WaitGroup
	began := time.Now()
	for w := range workers {
		all.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				connects[i], greetings[i], errs[w] = pacedConnect(args[0])
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	fmt.Println(median(connects).Microseconds(), median(greetings).Microseconds(), int(float64(n)/took.Seconds()))
	return nil
}

func pacedConnect(address string) (connected, greeted time.Duration, err error) {
	began := time.Now()
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetLinger(0) // ports are scarce
	connected = time.Since(began)
	_, err = c.Read(make([]byte, 100))
	return connected, time.Since(began), err
}

// BenchmarkConnects measures what a connection costs that is held until the
// upstream has accepted it, one that is accepted before, and a direct one, in
// turns. What it reports are medians of the turns, each divided by that of the
// direct one:
//
//	connect    what connect(2) takes, one after the other
//	greeting   what it takes until the first byte of the upstream is there
//	rate       connections a second, eight at once
func BenchmarkConnects(b *testing.B) {
	needs(b, "setcap")
	nobody := credential(b, "nobody")
	server := newServer(b)
	echo := server.serveEcho(b, "192.0.2.10:0")
	direct, early, held := newClient(b, server), newClient(b, server), newClient(b, server)
	binary := withCapabilities(b, "cap_bpf,cap_net_admin,cap_perfmon+ep") // not cap_net_raw
	accepting := start(b, early, as(nobody, exec.Command(binary, "run", "--transparent", "on", "--upstream", "*", "--cgroup", early.isolate(b))))
	accepting.says(b, "\nready after ")
	held.run(b, "--upstream", "*", "--cgroup", held.isolate(b))

	names := []string{"direct", "accept-first", "held"}
	clients := []*host{direct, early, held}
	ratios := make(map[string][]float64)
	for b.Loop() {
		var measured [3][3]float64
		order := []int{0, 1, 2}
		for range 11 {
			slices.Reverse(order)
			for _, i := range order {
				one := strings.Fields(printed(b, clients[i], role(b, "pace", echo, "300", "1"))[0])
				eight := strings.Fields(printed(b, clients[i], role(b, "pace", echo, "1000", "8"))[0])
				measured[i] = [3]float64{parsed(b, one[0]), parsed(b, one[1]), parsed(b, eight[2])}
			}
			for i := range clients[1:] {
				for j, what := range []string{"connect", "greeting", "rate"} {
					name := what + "-" + names[i+1] + "/direct"
					ratios[name] = append(ratios[name], measured[i+1][j]/measured[0][j])
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range ratios {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name)
	}
	accepting.signal(b, syscall.SIGTERM)
	accepting.await(b)
}

func parsed(b *testing.B, text string) float64 {
	b.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		b.Fatal(err)
	}
	return v
}
