package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
)

// running is a run in this process, without interception.
type running struct {
	t      *testing.T
	start  event.Start
	stop   context.CancelFunc
	report Report

	events *bufio.Scanner
	text   strings.Builder // of the events
	over   sync.WaitGroup
}

func launch(t *testing.T, cfg Config) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	r := &running{t: t, stop: stop, events: bufio.NewScanner(read)}
	cfg.Version, cfg.Transparent, cfg.Log, cfg.JSON = "test", Off, zap.NewNop(), lines.NewWriter(write)
	if !cfg.Proxy.IsValid() {
		cfg.Proxy = netip.MustParseAddrPort("127.0.0.1:0")
	}
	r.over.Go(func() {
		var err error
		if r.report, err = Run(ctx, cfg); err != nil {
			t.Errorf("the run: %v", err)
		}
		cfg.JSON.Close(time.Minute)
		write.Close()
	})
	if !r.next() {
		t.Fatal("there is no event")
	}
	if err := json.Unmarshal(r.events.Bytes(), &r.start); err != nil || r.start.Event != event.OfStart {
		t.Fatalf("%v: %s", err, r.events.Bytes())
	}
	return r
}

func (r *running) next() bool {
	if !r.events.Scan() {
		return false
	}
	r.text.WriteString(r.events.Text() + "\n")
	return true
}

// end ends the run, and gives all of its events.
func (r *running) end() events {
	r.t.Helper()
	r.stop()
	return r.rest()
}

// rest waits until the run has ended, and gives all of its events.
func (r *running) rest() events {
	r.t.Helper()
	for r.next() {
	}
	r.over.Wait()
	return decoded(r.t, r.text.String())
}

// client asks a proxy.
func client(t *testing.T, at string) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: at})}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestRun holds that what happens on the wire is what the events say, for each
// way by which a client can come.
func TestRun(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a page") }))
	target := strings.TrimPrefix(web.URL, "http://")
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := dns.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = dns.WriteTo(buf[:n], from)
		}
	}()
	r := launch(t, Config{
		Mappings: []mapping.Mapping{mappingOf(t, "127.0.0.1:0="+target), mappingOf(t, "udp:127.0.0.1:0="+dns.LocalAddr().String())},
		Faults: []faults.Planned{
			{Fault: faults.Latency{Delay: faults.Normal{Mean: 30 * milli}, On: toClient}},
			{Fault: faults.Bandwidth{Rate: 1e6, On: toServer | toClient}},
			{Fault: faults.HTTPResponse{Status: 503, Probability: 1}, Schedule: faults.Schedule{{Start: time.Hour, End: faults.Never}}},
		},
		Seed: 1,
	})
	if len(r.start.Mappings) != 2 || strings.HasSuffix(r.start.Mappings[0].Listen, ":0") {
		t.Fatalf("it listens at %+v", r.start.Mappings)
	}
	proxied := client(t, r.start.Listen)
	for _, c := range []struct {
		*http.Client
		url string
	}{{proxied, web.URL}, {http.DefaultClient, "http://" + r.start.Mappings[0].Listen}} {
		if status, body := get(t, c.Client, c.url); status != 200 || body != "a page" {
			t.Errorf("%s: %d %q", c.url, status, body)
		}
	}
	datagram, err := net.Dial("udp", r.start.Mappings[1].Listen)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if _, err := datagram.Write([]byte("query")); err != nil {
		t.Fatal(err)
	}
	if n, err := datagram.Read(buf); err != nil || string(buf[:n]) != "query" {
		t.Errorf("the datagram: %q, %v", buf[:n], err)
	}
	datagram.Close()
	http.DefaultClient.CloseIdleConnections()
	proxied.CloseIdleConnections()

	all := r.end()
	entered := make(map[string]event.Flow)
	var down, up uint64
	for _, f := range all.flows {
		entered[f.EnteredBy+" "+f.Upstream.IP+":"+strconv.Itoa(int(f.Upstream.Port))] = f
		down += uint64(*f.ToClientBytes)
		up += uint64(*f.ToServerBytes)
		if f.Verdict != matchedWord || f.Error != "" {
			t.Errorf("a flow is %+v", f)
		}
	}
	if len(entered) != 3 || len(all.flows) != 3 {
		t.Errorf("the flows are %+v", all.flows)
	}
	if f := entered["http "+target]; f.HTTP == nil || f.HTTP.Status != 200 || *f.ToClientBytes != int64(len("a page")) {
		t.Errorf("the request is %+v", f)
	}
	if f := entered["mapping "+dns.LocalAddr().String()]; f.ToServerBytes == nil || *f.ToServerBytes != 5 || *f.ToClientBytes != 5 {
		t.Errorf("the datagrams are %+v", f)
	}
	sum := all.summary
	if sum.Flows.Met != 3 || sum.Flows.Matched != 3 || sum.ToClientBytes != down || sum.ToServerBytes != up ||
		*sum.Faults[0].Injected.N != 3 || *sum.Faults[2].Injected.Requests != 0 || sum.Faults[2].OnS != 0 {
		t.Errorf("the summary is %+v", sum)
	}
	if r.report.Matched != 3 || r.report.Reason != BySignal {
		t.Errorf("the report is %+v", r.report)
	}
	web.Close()
	dns.Close()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines are left of the run", n-goroutines)
	}
}

// TestWarnsOfTLS holds that a target which cannot be verified is told of once,
// when the first client comes.
func TestWarnsOfTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of us, too
	web.StartTLS()
	defer web.Close()
	m := mappingOf(t, "http:127.0.0.1:0="+web.URL)
	told := make(chan string, 9)
	r := launch(t, Config{Mappings: []mapping.Mapping{m}, NoProxy: true, Warn: func(text, hint string) { told <- text + "\n" + hint }})
	if r.start.Listen != "" {
		t.Errorf("it is a proxy at %s", r.start.Listen)
	}
	for range 3 {
		if status, _ := get(t, http.DefaultClient, "http://"+r.start.Mappings[0].Listen); status != http.StatusBadGateway {
			t.Errorf("the status is %d", status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	all := r.end()
	if len(all.warnings) != 1 || all.warnings[0].Code != "tls" || all.summary.Reasons.Errors["tls"] != 3 {
		t.Errorf("the events are %+v, the errors %v", all.warnings, all.summary.Reasons.Errors)
	}
	if len(told) != 1 {
		t.Fatalf("%d warnings", len(told))
	}
	if text := <-told; !strings.HasPrefix(text, "--proxy `"+m.String()+"`: ") || !strings.Contains(text, "\nname the target") {
		t.Errorf("it warns: %s", text)
	}
}

func TestRefusal(t *testing.T) {
	other := &x509.Certificate{DNSNames: []string{"db.example.com", "evil\x1b"}}
	for want, err := range map[string]error{
		"the certificate is for db.example.com, evil?, not db.internal": x509.HostnameError{Certificate: other, Host: "db.internal"},
		"certificate signed by unknown authority":                       x509.UnknownAuthorityError{},
	} {
		if got := refusal(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestOverride holds that what clients ask for goes elsewhere, and that is
// what --upstream is about.
func TestOverride(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	defer web.Close()
	at := netip.MustParseAddrPort(strings.TrimPrefix(web.URL, "https://"))
	r := launch(t, Config{
		HTTPUpstream: &proxy.Target{Host: at.Addr().String(), Port: at.Port(), TLS: true}, TLS: &tls.Config{InsecureSkipVerify: true},
		Upstreams: upstreamsOf(t, at.String()),
	})
	if status, body := get(t, client(t, r.start.Listen), "http://example.com/"); status != 200 || body != "example.com" {
		t.Errorf("%d %q", status, body)
	}
	all := r.end()
	if len(all.flows) != 1 || all.flows[0].Verdict != matchedWord || all.flows[0].Upstream.Host != "example.com" || all.flows[0].Upstream.IP != "127.0.0.1" ||
		r.start.HTTPUpstreamOverride != "https://"+at.String() {
		t.Errorf("%+v, %+v", all.start, all.flows)
	}
}

// TestListenError holds that a run which cannot listen at all of its addresses
// leaves none of them taken, and says which it was.
func TestListenError(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	m := mappingOf(t, taken.Addr().String()+"=example.com:80")
	_, err = Run(t.Context(), Config{
		Proxy: netip.MustParseAddrPort(free.Addr().String()), Mappings: []mapping.Mapping{m}, Transparent: Off, Log: zap.NewNop(),
	})
	var listen *ListenError
	if !errors.As(err, &listen) || listen.Address != taken.Addr().String() || listen.Mapping != m.String() || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the error is %v", err)
	}
	again, err := net.Listen("tcp4", free.Addr().String())
	if err != nil {
		t.Fatalf("the proxy's address is still taken: %v", err)
	}
	again.Close()
}

// TestNothingToDo holds that a run to which nobody can come does not begin.
func TestNothingToDo(t *testing.T) {
	cfg := Config{Proxy: netip.MustParseAddrPort("127.0.0.1:0"), NoProxy: true, Upstreams: upstreamsOf(t, "*"), Transparent: Off}
	if err := cfg.Validate(); err == nil {
		t.Error("nothing is wrong with a run without anything")
	}
	cfg.Transparent = Auto
	if err := cfg.Validate(); err != nil {
		t.Errorf("a run that intercepts: %v", err)
	}
	cfg.Mappings, cfg.Transparent = []mapping.Mapping{mappingOf(t, "9090=example.com:80")}, Off
	if err := cfg.Validate(); err != nil {
		t.Errorf("a run with a mapping: %v", err)
	}
}

// TestRefused holds what it means that a host cannot intercept.
func TestRefused(t *testing.T) {
	quiet := zap.NewNop()
	m := []mapping.Mapping{mappingOf(t, "9090=example.com:80")}
	for name, tc := range map[string]struct {
		cfg   Config
		fails bool
	}{
		"auto":                    {Config{Transparent: Auto, Log: quiet}, false},
		"on":                      {Config{Transparent: On, Log: quiet}, true},
		"auto without a proxy":    {Config{Transparent: Auto, NoProxy: true, Log: quiet}, true}, // nothing would be left
		"auto with mappings":      {Config{Transparent: Auto, NoProxy: true, Mappings: m, Log: quiet}, false},
		"nothing that is missing": {Config{Transparent: Auto, Log: quiet}, true},
	} {
		var err error = &bpf.MissingError{What: "cap_bpf is missing", Hint: "use sudo"}
		if name == "nothing that is missing" {
			err = os.ErrPermission
		}
		i := &interception{wanted: true}
		got := i.refused(&tc.cfg, err)
		var intercept *InterceptError
		if errors.As(got, &intercept) != tc.fails || !tc.fails && i.explicit == "" {
			t.Errorf("%s: %v, explicit because %q", name, got, i.explicit)
		}
	}
}
