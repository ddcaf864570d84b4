package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/control"
)

// TestSteering looks at an agent that has traffic, pauses it, resumes it, and
// ends it, by the commands for that.
func TestSteering(t *testing.T) {
	needs(t)
	h := newHost(t)
	url := h.servePage(t, "127.0.0.1:0")
	path, toFile := eventsFile(t)
	a := h.run(t, toFile, "--duration", "10m", "--with-latency", "--latency-mean", fmt.Sprint(delay.Milliseconds()))
	pid := a.Process.Pid
	says := func(want string, args ...string) {
		t.Helper()
		if said := answer(t, h, fault(args...)); said != want {
			t.Errorf("fault %s says %q, want %q", strings.Join(args, " "), said, want)
		}
	}
	delayed := func(want bool) {
		t.Helper()
		if took := h.ask(t, a.proxy, url); (took >= delay) != want {
			t.Errorf("a request took %v; is it delayed by %v? want %t", took, delay, want)
		}
	}
	status := func(met uint64, paused bool) control.Status {
		t.Helper()
		var s control.Status
		eventually(t, fmt.Sprintf("%d flows are counted", met), func() bool { s = h.status(t); return s.Matched == met && s.Open == 0 })
		// A pause does not concern the schedules.
		if s.PID != pid || s.Mode != "explicit" || s.Paused != paused || !slices.Equal(s.Faults, []control.Fault{{ID: "latency", On: true}}) {
			t.Errorf("of %d flows, paused %t, the status is %+v", met, paused, s)
		}
		return s
	}

	before := status(0, false)
	delayed(true)
	after := status(1, false)
	if after.UpS <= before.UpS || *after.EndsInS >= *before.EndsInS {
		t.Errorf("time does not go on: %+v, then %+v", before, after)
	}

	says(fmt.Sprintf("paused fault[%d]: connections pass through unaltered until `fault resume %[1]d`", pid), "pause")
	delayed(false)
	status(2, true)
	says(fmt.Sprintf("fault[%d] is paused already", pid), "pause", fmt.Sprint(pid))
	says(fmt.Sprintf("resumed fault[%d]: its faults are on again as scheduled", pid), "resume")
	delayed(true)
	status(3, false)

	another := h.run(t, "--proxy-address", "127.0.0.1:0").Process.Pid
	both := []int{pid, another}
	slices.Sort(both)
	for _, command := range []string{"pause", "resume", "stop"} {
		_, stderr, code := finish(t, h, fault(command))
		want := fmt.Sprintf("error: 2 agents run here: fault[%d], fault[%d]\nhint: say which, as `fault %s %[1]d`; `fault status` tells them apart\n", both[0], both[1], command)
		if code != 1 || stderr != want {
			t.Errorf("fault %s of two: exit %d, %q, want %q", command, code, stderr, want)
		}
	}
	if rows := strings.Split(answer(t, h, fault("status")), "\n"); len(rows) != 2 ||
		!strings.HasPrefix(rows[0], fmt.Sprintf("%d\t", both[0])) || !strings.HasPrefix(rows[1], fmt.Sprintf("%d\t", both[1])) {
		t.Errorf("the status of two is %q", rows)
	}

	says(fmt.Sprintf("fault[%d] has ended", pid), "stop", fmt.Sprint(pid))
	if s := a.summary(t); s.reason != "stop" || s.matched != 3 {
		t.Errorf("the summary has %+v", s)
	}
	told := readEvents(t, path)
	if s := told.summary(t); s.Reason != "stop" || s.PausedS <= 0 {
		t.Errorf("the event has reason %s, %v s of pause", s.Reason, s.PausedS)
	}
	for i, f := range told.ended() {
		if hit := len(f.Faults) > 0; hit != (i != 1) {
			t.Errorf("flow %d has %+v", i, f.Faults)
		}
	}
}

// status is what the only agent of a host says of itself.
func (h *host) status(t *testing.T) control.Status {
	t.Helper()
	var s control.Status
	text := answer(t, h, fault("status", "--json"))
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return s
}
