package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// FuzzScheduleHint holds that who does as the hint says gets what it says: the
// times that it writes are the percentages of the duration that it names.
func FuzzScheduleHint(f *testing.F) {
	for _, seed := range []string{
		"start:90%,duration:5%", "start:20m;duration:5%", "duration: 1e1 %", "start:33.3%,duration:0.0000000001%", "start:5%,stop:1s", "start:%", "start:5%;duration:5%;start:99%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := schedule(text)
		_, err := s.parse(0)
		hinted, ok := errors.AsType[*usageError](err)
		if !ok {
			return
		}
		add, rest, _ := strings.Cut(strings.TrimPrefix(hinted.hint, "add `--duration "), "`, or write times: `")
		length, err := faults.ParseDuration(add)
		if err != nil {
			t.Fatalf("%q: %s: %v", text, hinted.hint, err)
		}
		want, err := s.parse(length)
		if err != nil {
			t.Fatalf("%q with --duration %s: %v", text, add, err)
		}
		inTimes := schedule(strings.TrimSuffix(rest, "`"))
		if got, err := inTimes.parse(0); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %v, and %q is %v, %v", text, want, inTimes, got, err)
		}
	})
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Second: "10s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		10*time.Hour + 10*time.Second: "10h0m10s", 1500 * time.Microsecond: "1.5ms", 24 * time.Hour: "24h",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
