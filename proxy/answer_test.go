package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// answering is a plan that answers a share of the requests.
func answering(probability float64, seed uint64) *faults.Plan {
	plan := planOf(faults.HTTPResponse{Status: 503, Body: "not today", Probability: probability})
	plan.Seed = seed
	return plan
}

// unhurried lets clients take their time to speak, so that it does not matter
// how busy the host is. It is called before noLeaks: nobody may look meanwhile.
func unhurried(t testing.TB) { taking(t, patience, 3*patience) }

// taking gives clients some time to speak first, and some to hear the last.
func taking(t testing.TB, first, last time.Duration) {
	wasFirst, wasLast := speakFirst, lingerTime
	speakFirst, lingerTime = first, last
	t.Cleanup(func() { speakFirst, lingerTime = wasFirst, wasLast })
}

// route is a way by which requests come.
type route struct {
	name string
	open func(t *testing.T, plan *faults.Plan, upstream string) (p *running, client func() *net.TCPConn)
	// connects says that the upstream is connected to first of all.
	connects bool
	// each says that each request is a flow.
	each bool
}

// routes are all of them; on the first three a connection is a flow.
var routes = []route{
	{name: "intercepted", open: func(t *testing.T, plan *faults.Plan, upstream string) (*running, func() *net.TCPConn) {
		p := run(t, &Server{Plan: plan, Origin: divertedToAddress(t, upstream)})
		return p, func() *net.TCPConn { return dial(t, p.addr) }
	}},
	{name: "mapping", open: func(t *testing.T, plan *faults.Plan, upstream string) (*running, func() *net.TCPConn) {
		p := mapTo(t, &Server{Plan: plan}, "", upstream)
		return p, func() *net.TCPConn { return dial(t, p.addr) }
	}},
	{name: "CONNECT", connects: true, open: func(t *testing.T, plan *faults.Plan, upstream string) (*running, func() *net.TCPConn) {
		p := run(t, &Server{Plan: plan})
		return p, func() *net.TCPConn { return tunnelled(t, p.addr, upstream) }
	}},
	{name: "forward", each: true, open: func(t *testing.T, plan *faults.Plan, upstream string) (*running, func() *net.TCPConn) {
		p := run(t, &Server{Plan: plan})
		return p, func() *net.TCPConn { return dial(t, p.addr) }
	}},
	{name: "HTTP mapping", each: true, open: func(t *testing.T, plan *faults.Plan, upstream string) (*running, func() *net.TCPConn) {
		p := mapTo(t, &Server{Plan: plan}, "http:", "http://"+upstream)
		return p, func() *net.TCPConn { return dial(t, p.addr) }
	}},
}

func divertedToAddress(t *testing.T, addr string) Origin {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return func(net.Conn) (Intercepted, bool, error) { return Intercepted{Destination: to.AddrPort()}, true, nil }
}

// unheard is a server to which nobody must speak, nor even connect, but who has
// to find out whether it is there. check looks whether somebody did.
func unheard(t *testing.T, connect bool) (addr string, check func()) {
	t.Helper()
	ln := listen(t)
	if !connect {
		return ln.Addr().String(), func() { untouched(t, ln) }
	}
	heard := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		all, err := io.ReadAll(c)
		c.Close()
		heard <- fmt.Sprintf("%q, %v", all, err)
	}()
	return ln.Addr().String(), func() {
		t.Helper()
		if got := next(t, heard); got != `"", <nil>` {
			t.Errorf("the server heard %s", got)
		}
		untouched(t, ln)
	}
}

// untouched checks that nobody has connected to a listener: the first who does
// is this function.
func untouched(t *testing.T, ln *net.TCPListener) {
	t.Helper()
	own := dial(t, ln.Addr().String())
	if first := accept(t, ln); first.RemoteAddr().String() != own.LocalAddr().String() {
		t.Error("somebody else had connected")
	}
}

// answerable are requests that can be answered, without their target. last says
// that the answer is the last on its connection.
var answerable = []struct {
	name, method, rest string
	last               bool
}{
	{"GET", "GET", " HTTP/1.1\r\nHost: x\r\n\r\n", false},
	{"HEAD", "HEAD", " HTTP/1.1\r\nHost: x\r\n\r\n", false},
	{"DELETE", "DELETE", " HTTP/1.1\r\nHost: x\r\n\r\n", false},
	{"a method of somebody's own", "BREW-POT", " HTTP/1.1\r\nHost: x\r\n\r\n", false},
	{"bare line ends", "GET", " HTTP/1.1\nHost: x\n\n", false},
	{"small POST", "POST", " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", false},
	{"POST of nothing", "POST", " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", false},
	{"POST at the limit", "POST", fmt.Sprintf(" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", bodyLimit, random(bodyLimit)), false},
	{"POST in chunks", "POST", " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", true},
	{"POST in chunks without end", "POST", " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", true},
	{"POST of 10 MB", "POST", fmt.Sprintf(" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 10<<20, random(10<<20)), true},
	{"POST that waits to continue", "POST", " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", true},
	{"closing", "GET", " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", true},
	{"upgrade", "GET", " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
	{"HTTP/1.0", "GET", " HTTP/1.0\r\n\r\n", true},
	{"HTTP/1.0 that stays", "GET", " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
}

// answers of ours, and what the client is to see of them.
var injections = []struct {
	fault       faults.HTTPResponse
	contentType string
	hasBody     bool
}{
	{faults.HTTPResponse{Status: 503, Body: "not today", Probability: 1}, "text/plain; charset=utf-8", true},
	{faults.HTTPResponse{Status: 503, Probability: 1}, "", true},
	{faults.HTTPResponse{Status: 429, Body: `{"error": "slow down"}`, Probability: 1}, "application/json", true},
	{faults.HTTPResponse{Status: 200, Body: strings.Repeat("long ", 1<<18), Probability: 1}, "text/plain; charset=utf-8", true},
	{faults.HTTPResponse{Status: 599, Body: "of no name", Probability: 1}, "text/plain; charset=utf-8", true},
	{faults.HTTPResponse{Status: 204, Body: "nobody gets this", Probability: 1}, "", false},
	{faults.HTTPResponse{Status: 304, Body: "nor this", Probability: 1}, "", false},
}

// Whatever is asked by whichever way is answered as it should be, and the
// upstream hears nothing of it.
func TestAnswered(t *testing.T) {
	for _, route := range routes {
		for i, injection := range injections {
			for _, request := range answerable {
				if i > 0 && (request.last || len(request.rest) > 1<<10) {
					continue // what the answer is does not matter there
				}
				t.Run(fmt.Sprintf("%s/%d %.5s/%s", route.name, injection.fault.Status, injection.fault.Body, request.name), func(t *testing.T) {
					unhurried(t)
					noLeaks(t)
					upstream, check := unheard(t, route.connects)
					p, connect := route.open(t, planOf(injection.fault), upstream)
					c := connect()
					from := bufio.NewReader(c)
					asked := 1
					if !request.last {
						asked = 3
					}
					for range asked {
						text := request.method + " /" + request.rest
						if route.name == "forward" {
							text = request.method + " http://" + upstream + "/" + request.rest
						}
						send(t, c, text) // all of it, before anything is read
						resp, err := http.ReadResponse(from, &http.Request{Method: request.method})
						if err != nil {
							t.Fatal(err)
						}
						checkAnswer(t, resp, request.method, i)
						if resp.Close != request.last {
							t.Errorf("the last: %v", resp.Close)
						}
					}
					if request.last {
						expectEnd(t, from, "")
					}
					c.Close()
					by := EndClient
					if request.last || route.each {
						by = EndFault
					}
					for range asked {
						f := next(t, p.ended)
						in := injectedInto(t, f, faults.ToServer)
						each := asked
						if route.each {
							each = 1
						}
						if f.Err != nil || f.Answered != injection.fault.Status || in.Tried != each || in.Hit != each || f.EndedBy != by {
							t.Errorf("%+v", f)
						}
						if f.Upstream.IsValid() != route.connects || f.Bytes[faults.ToServer] != 0 {
							t.Errorf("went to %v: %d bytes", f.Upstream, f.Bytes)
						}
						if !route.each {
							break
						}
					}
					if got := p.injected(faults.ToServer); len(got) != asked || got[0] != (faults.Effect{Tried: 1, Hit: 1}) {
						t.Errorf("told of %+v", got)
					}
					check()
				})
			}
		}
	}
}

func checkAnswer(t *testing.T, resp *http.Response, method string, i int) {
	t.Helper()
	want := injections[i]
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := want.fault.Body
	length := fmt.Sprint(len(text))
	if !want.hasBody {
		text, length = "", ""
	}
	if method == http.MethodHead {
		text = ""
	}
	if resp.StatusCode != want.fault.Status || string(body) != text ||
		resp.Header.Get("Content-Type") != want.contentType || resp.Header.Get("Content-Length") != length {
		t.Errorf("%s, %v, %d bytes of body", resp.Status, resp.Header, len(body))
	}
}

// Nobody has to be there for a request to be answered.
func TestAnsweredForNobody(t *testing.T) {
	for _, route := range routes {
		if route.connects {
			continue // which answers for whether somebody is
		}
		t.Run(route.name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			upstream := nobody(t)
			p, connect := route.open(t, answering(1, 1), upstream)
			c := connect()
			from := bufio.NewReader(c)
			for range 2 {
				send(t, c, "GET http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
				resp, err := http.ReadResponse(from, nil)
				if err != nil {
					t.Fatal(err)
				}
				expectEnd(t, resp.Body, "not today")
			}
			closeWrite(t, c)
			expectEnd(t, from, "")
			if f := next(t, p.ended); f.Err != nil || f.Answered != 503 || f.Upstream.IsValid() {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Requests that come in one go are answered one by one.
func TestAnsweredInOneGo(t *testing.T) {
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			upstream, _ := unheard(t, route.connects)
			_, connect := route.open(t, answering(1, 1), upstream)
			c := connect()
			methods := []string{"GET", "HEAD", "POST"}
			go func() {
				for i := range 300 {
					method := methods[i%len(methods)]
					_, _ = io.WriteString(c, method+" http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n")
					if method == "POST" {
						_, _ = io.WriteString(c, "Content-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\nxx")
					} else {
						_, _ = io.WriteString(c, "\r\n")
					}
				}
				_ = c.CloseWrite()
			}()
			from := bufio.NewReader(c)
			for i := range 300 {
				method := methods[i%len(methods)]
				resp, err := http.ReadResponse(from, &http.Request{Method: method})
				if err != nil {
					t.Fatal(i, err)
				}
				checkAnswer(t, resp, method, 0)
			}
			expectEnd(t, from, "")
		})
	}
}

// A client that breaks off its request, and still listens, hears the answer.
func TestAnsweredBeforeTheRequestIsWhole(t *testing.T) {
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			upstream, _ := unheard(t, route.connects)
			p, connect := route.open(t, answering(1, 1), upstream)
			c := connect()
			send(t, c, "POST http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
			closeWrite(t, c)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkAnswer(t, resp, "POST", 0)
			if f := next(t, p.ended); f.Err != nil || f.Answered != 503 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A client that is no longer there is not answered, and nothing waits for it.
func TestClientLeavesWhileItIsAnswered(t *testing.T) {
	for _, route := range routes {
		for name, rest := range map[string]string{
			"known": "Content-Length: 10\r\n\r\nhalf", "chunks": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "nothing": "\r\n",
		} {
			for _, held := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s, held %v", route.name, name, held), func(t *testing.T) {
					unhurried(t)
					noLeaks(t)
					upstream, _ := unheard(t, route.connects)
					plan := answering(1, 1)
					if held {
						plan.Faults = append(plan.Faults, faults.Planned{Fault: faults.Blackhole{On: faults.LinksOf(faults.Server, faults.Ingress)}})
					}
					var light atomic.Bool // or there would be no tunnel
					light.Store(true)
					plan.Paused = light.Load
					p, connect := route.open(t, plan, upstream)
					c := connect()
					light.Store(false)
					send(t, c, "POST http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n"+rest)
					if held && name != "known" && !within(func() bool { return len(p.injected(faults.ToClient)) > 0 }) {
						t.Fatal("nothing was answered")
					}
					reset(c)
					f := next(t, p.ended)
					if name == "known" && (f.Answered != 0 || Failure(f.Err) != "reset" && Failure(f.Err) != "client-gone") {
						t.Errorf("%+v", f)
					}
				})
			}
		}
	}
}

// An answer travels as a response does.
func TestAnswerIsDelayed(t *testing.T) {
	const delay = 50 * ms
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			upstream, _ := unheard(t, route.connects)
			plan := answering(1, 1)
			plan.Faults = append(plan.Faults, faults.Planned{Fault: faults.Latency{
				Delay: constant(delay), PerReadWrite: true, On: faults.LinksOf(faults.Server, faults.Ingress),
			}})
			p, connect := route.open(t, plan, upstream)
			c := connect()
			from := bufio.NewReader(c)
			for range 2 {
				start := time.Now()
				send(t, c, "GET http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
				resp, err := http.ReadResponse(from, nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < delay {
					t.Errorf("answered after %v", took)
				}
				expectEnd(t, resp.Body, "not today")
			}
			c.Close()
			if f := next(t, p.ended); injectedInto(t, f, faults.ToClient).Sum < delay {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A client that uploads for longer than we linger still gets an answer that
// comes late.
func TestDelayedAnswerOutlastsTheUpload(t *testing.T) {
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			taking(t, patience, 50*ms)
			noLeaks(t)
			upstream, _ := unheard(t, route.connects)
			plan := answering(1, 1)
			plan.Faults = append(plan.Faults, faults.Planned{Fault: faults.Latency{
				Delay: constant(100 * ms), On: faults.LinksOf(faults.Server, faults.Ingress),
			}})
			_, connect := route.open(t, plan, upstream)
			c := connect()
			send(t, c, "POST http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			uploaded, stop := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(uploaded)
				chunk := "1000\r\n" + random(0x1000) + "\r\n"
				for {
					select {
					case <-stop:
						return
					case <-time.After(20 * ms):
					}
					if _, err := io.WriteString(c, chunk); err != nil {
						return
					}
				}
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkAnswer(t, resp, "POST", 0)
			close(stop)
			<-uploaded
		})
	}
}

// What is off does nothing, be it for good or until later.
func TestAnswersObeyTheSchedule(t *testing.T) {
	for name, tc := range map[string]struct {
		schedule faults.Schedule
		answered bool
	}{
		"on":    {faults.Schedule{{Start: 0, End: faults.Never}}, true},
		"later": {faults.Schedule{{Start: time.Hour, End: faults.Never}}, false},
		"over":  {faults.Schedule{{Start: 0, End: 1}}, false},
	} {
		for _, route := range routes {
			t.Run(name+" "+route.name, func(t *testing.T) {
				noLeaks(t)
				plan := answering(1, 1)
				plan.Faults[0].Schedule = tc.schedule
				w := serveWeb(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") })
				upstream := w.server.Listener.Addr().String()
				p, connect := route.open(t, plan, upstream)
				c := connect()
				from := bufio.NewReader(c)
				for range 2 {
					send(t, c, "GET http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
					resp, err := http.ReadResponse(from, nil)
					if err != nil {
						t.Fatal(err)
					}
					if body, _ := io.ReadAll(resp.Body); (string(body) == "not today") != tc.answered {
						t.Errorf("%s: %q", resp.Status, body)
					}
				}
				c.Close()
				f := next(t, p.ended)
				if (f.Answered == 503) != tc.answered || (injectedInto(t, f, faults.ToServer).Tried > 0) != tc.answered {
					t.Errorf("%+v", f)
				}
			})
		}
	}
}

// A fault that comes on and goes off while a connection is open is obeyed on
// that connection.
func TestAnswersComeAndGo(t *testing.T) {
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			noLeaks(t)
			plan := answering(1, 1)
			plan.Faults[0].Schedule = faults.Schedule{{Start: 100 * ms, End: 200 * ms}, {Start: 300 * ms, End: 400 * ms}}
			w := serveWeb(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") })
			upstream := w.server.Listener.Addr().String()
			p, connect := route.open(t, plan, upstream)
			c := connect()
			from := bufio.NewReader(c)
			checked := 0
			for now := time.Duration(0); now < 450*ms; {
				time.Sleep(ms) // a fast host would fill what keeps the flows, which then waits
				began := p.Clock.Now()
				send(t, c, "GET http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
				resp, err := http.ReadResponse(from, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				now = p.Clock.Now()
				on := plan.Faults[0].Schedule.On(began)
				if on != plan.Faults[0].Schedule.On(now) || now-began > 50*ms {
					continue // it may have been decided about in one or the other
				}
				if checked++; on != (resp.StatusCode == 503) {
					t.Errorf("%s from %v to %v", resp.Status, began, now)
				}
			}
			if checked == 0 {
				t.Log("the host is too busy to tell")
			}
		})
	}
}

// As many are answered as the probability says, and what is said of that is
// true.
func TestAnswersHaveTheirProbability(t *testing.T) {
	const requests, probability = 2000, .25
	for _, route := range routes {
		t.Run(route.name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			passed := 0
			w := serveWeb(t, func(w http.ResponseWriter, _ *http.Request) { passed++; _, _ = io.WriteString(w, "hi") })
			upstream := w.server.Listener.Addr().String()
			p, connect := route.open(t, answering(probability, 7), upstream)
			c := connect()
			from := bufio.NewReader(c)
			answered := 0
			for range requests {
				send(t, c, "GET http://"+upstream+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
				resp, err := http.ReadResponse(from, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode == 503 {
					answered++
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			c.Close()
			tried, hit := 0, 0
			for range requests {
				f := next(t, p.ended)
				in := injectedInto(t, f, faults.ToServer)
				tried += in.Tried
				hit += in.Hit
				if (f.Answered == 503) != (in.Hit > 0) {
					t.Errorf("%+v", f)
				}
				if !route.each {
					break
				}
			}
			for _, e := range p.injected(faults.ToServer) {
				tried -= e.Tried
				hit -= e.Hit
			}
			if tried != 0 || hit != 0 {
				t.Errorf("told one by one: %d tried and %d hit less than in all", tried, hit)
			}
			if answered+passed != requests {
				t.Errorf("%d answered and %d passed, of %d", answered, passed, requests)
			}
			if off := math.Abs(float64(answered) - requests*probability); off > 3*math.Sqrt(requests*probability*(1-probability)) {
				t.Errorf("%d of %d were answered", answered, requests)
			}
			if in := len(p.injected(faults.ToServer)); in != requests {
				t.Errorf("told of %d requests", in)
			}
		})
	}
}

// A request that turns out to be broken while its answer is held gets an error
// or nothing, and never a success that nobody meant.
func TestBrokenRequestIsNotAnsweredWithSuccess(t *testing.T) {
	noLeaks(t)
	plan := answering(1, 1)
	plan.Faults = append(plan.Faults, delayed(constant(100*ms), false, 1).Faults...)
	p := run(t, &Server{Plan: plan})
	c := dial(t, p.addr)
	send(t, c, "POST http://"+nobody(t)+"/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nrubbish\r\n")
	all, _ := io.ReadAll(c)
	if strings.HasPrefix(string(all), "HTTP/1.1 2") {
		t.Errorf("%.100q", all)
	}
	if f := next(t, p.ended); f.Err == nil && f.Answered != 503 {
		t.Errorf("%+v", f)
	}
}
