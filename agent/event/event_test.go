package event

import (
	"math"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	when := time.Date(2026, 11, 23, 12, 5, 0, 412310999, time.FixedZone("", 3600))
	e := Warning{Head: NewHead(OfWarning, when, 300412345*time.Microsecond), Code: "c", Text: "<a & b>\n", N: 1}
	const want = `{"event":"warning","time":"2026-11-23T11:05:00.412310Z","at_s":300.412,"code":"c","text":"<a & b>\n","n":1}` + "\n"
	if got := Line(e); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[float64]float64{
		Seconds(1500400 * time.Microsecond):   1.5,
		Milliseconds(312339499):               312.339,
		Milliseconds(100 * 365 * 24 * 3600e9): 3153600000000,
		*Share(40, 408):                       .098039,
		*Share(0, 5):                          0,
	} {
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if s := Share(0, 0); s != nil {
		t.Errorf("of nothing the share is %v", *s)
	}
}
