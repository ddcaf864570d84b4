package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
)

func TestAsk(t *testing.T) {
	leavesNothing(t)
	agent := &record{status: Status{
		PID: os.Getpid(), Version: "1", UpS: 72.4, EndsInS: event.Some(0.), Mode: "transparent", Listen: "127.0.0.1:3180",
		Upstreams: []string{"*", "!db"}, Open: 42, Matched: 1204, Errors: 2, LeftAlone: event.Some[uint64](34),
		Faults: []Fault{{"latency", true}, {"jitter", false}},
	}}
	peer, stop := served(t, agent)
	if want := (Peer{PID: os.Getpid(), Own: os.Getpid(), UID: os.Geteuid(), name: peer.name}); peer != want {
		t.Errorf("it is %+v, want %+v", peer, want)
	}
	for _, step := range []struct {
		do                      Verb
		changed, paused, ending bool
	}{
		{Look, false, false, false},
		{Pause, true, true, false},
		{Pause, false, true, false},
		{Resume, true, false, false},
		{Resume, false, false, false},
		{Stop, true, false, true},
		{Stop, false, false, true},
	} {
		r, err := peer.Ask(t.Context(), step.do)
		if err != nil {
			t.Fatalf("%s: %v", step.do, err)
		}
		want := agent.status
		want.Paused, want.Ending = step.paused, step.ending
		if r.Changed != step.changed || !reflect.DeepEqual(*r.Status, want) {
			t.Errorf("%s: changed %v, want %v; %+v, want %+v", step.do, r.Changed, step.changed, *r.Status, want)
		}
	}
	if got, want := agent.was(), []Verb{Pause, Pause, Resume, Resume, Stop, Stop}; !slices.Equal(got, want) {
		t.Errorf("it was asked %v, want %v", got, want)
	}
	stop()
	if _, err := peer.Ask(t.Context(), Look); !Is(err, Ended) {
		t.Errorf("after the end: %v", err)
	}
	if err := peer.Gone(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHostile sends what no client of ours would.
func TestHostile(t *testing.T) {
	leavesNothing(t)
	agent := &record{}
	peer, _ := served(t, agent)
	for name, tc := range map[string]struct {
		text string
		want Code
	}{
		"nothing":        {"", ""},
		"an empty line":  {"\n", BadRequest},
		"zeros":          {strings.Repeat("\x00", 100) + "\n", BadRequest},
		"half a line":    {`{"schema":1,"do":"stop"}`, BadRequest},
		"a long line":    {`{"schema":1,"do":"stop","x":"` + strings.Repeat("x", requestLimit) + "\"}\n", BadRequest},
		"very much":      {strings.Repeat("[", 10<<20), BadRequest},
		"another schema": {`{"schema":9,"do":"stop"}` + "\n", BadRequest},
		"another verb":   {`{"schema":1,"do":"kill"}` + "\n", BadRequest},
		"HTTP":           {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", BadRequest},
	} {
		// What was not read may show as a reset behind the reply.
		if r, err := talk(t, peer, tc.text); r.Error != tc.want || err != nil && tc.want == "" {
			t.Errorf("%s: %+v, %v; want %q", name, r, err, tc.want)
		}
	}
	// Of several requests the first counts.
	if r, _ := talk(t, peer, strings.Repeat(`{"schema":1,"do":"pause"}`+"\n", 3)); r.Error != "" || !r.Changed {
		t.Errorf("three requests: %+v", r)
	}
	if got, want := agent.was(), []Verb{Pause}; !slices.Equal(got, want) {
		t.Errorf("it was asked %v, want %v", got, want)
	}
}

// TestSilentClients hold every slot and ask for nothing. Whoever waits behind
// them is answered once their time is over.
func TestSilentClients(t *testing.T) {
	leavesNothing(t)
	peer, stop := served(t, &record{})
	var silent []net.Conn
	for range 3 * connectionLimit {
		conn, err := net.Dial("unix", "@"+peer.name)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	// The first are cut off without a word.
	_ = silent[0].SetReadDeadline(time.Now().Add(patience))
	if n, err := silent[0].Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a silent client reads %d bytes and %v", n, err)
	}
	end := time.Now().Add(patience)
	for {
		_, err := peer.Ask(t.Context(), Look)
		if err == nil {
			break
		}
		if !Is(err, NoAnswer) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	stop() // ends the rest
}

// TestStopWithClients ends while every slot is held and more wait.
func TestStopWithClients(t *testing.T) {
	leavesNothing(t)
	peer, stop := served(t, &record{})
	var clients sync.WaitGroup
	for range 2 * connectionLimit {
		conn, err := net.Dial("unix", "@"+peer.name)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		clients.Go(func() {
			defer conn.Close()
			if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a client was not cut off")
			}
		})
	}
	stop()
	stop() // which may be called again
	clients.Wait()
}

// TestManyClients are all answered.
func TestManyClients(t *testing.T) {
	leavesNothing(t)
	agent := &record{}
	peer, _ := served(t, agent)
	var clients sync.WaitGroup
	for range 20 * connectionLimit {
		clients.Go(func() {
			for {
				_, err := peer.Ask(t.Context(), Pause)
				if err == nil {
					return
				}
				// A loaded machine may take longer than a client waits.
				if !Is(err, NoAnswer) || t.Context().Err() != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	if n := len(agent.was()); n < 20*connectionLimit {
		t.Errorf("it was asked %d times, want %d", n, 20*connectionLimit)
	}
}

// TestOtherUsers see an agent and get no answer, nor is it asked.
func TestOtherUsers(t *testing.T) {
	const stranger = 65533
	agent := &record{}
	peer, _ := served(t, agent)
	allowed := "root"
	if uid := os.Geteuid(); uid != 0 {
		allowed = fmt.Sprintf("root and uid %d", uid)
	}
	for role, want := range map[string]string{
		"client":     fmt.Sprintf("uid %d answers only %s\n", os.Geteuid(), allowed),
		"raw client": `{"schema":1,"error":"not-allowed","text":"only ` + allowed + ` may ask","changed":false}` + "\n",
	} {
		out, err := as(t, stranger, role, peer.name).Output()
		if err != nil || string(out) != want {
			t.Errorf("as %s: %q and %v, want %q", role, out, err, want)
		}
	}
	if asked := agent.was(); len(asked) != 0 {
		t.Errorf("it was asked %v", asked)
	}
	if _, err := peer.Ask(t.Context(), Look); err != nil {
		t.Errorf("its own user gets %v", err)
	}
}

// TestRootAsksAnybody, and an agent of a user answers root.
func TestRootAsksAnybody(t *testing.T) {
	const user = 65533
	peer := agentProcess(t, user)
	if peer.UID != user {
		t.Errorf("its uid is %d, want %d", peer.UID, user)
	}
	if r, err := peer.Ask(t.Context(), Pause); err != nil || !r.Status.Paused {
		t.Errorf("%+v and %v", r, err)
	}
}

// TestCancelled asking ends at once.
func TestCancelled(t *testing.T) {
	leavesNothing(t)
	at, err := net.Listen("unix", "@"+namePrefix+"1-00000000")
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	peer := Peer{Own: 1, UID: -1, name: namePrefix + "1-00000000"}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(nil) })
	if _, err := peer.Ask(ctx, Look); !errors.Is(err, context.Canceled) {
		t.Errorf("asking ends with %v", err)
	}
	if err := peer.Gone(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ends with %v", err)
	}
}
