package words

import (
	"slices"
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Clock(5 * time.Minute):        "5:00",
		Clock(3723 * time.Second):     "1:02:03",
		Clock(500 * time.Millisecond): "0:00.5",
		Count(uint64(4982)):           "4,982",
		Count(999):                    "999",
		Count(int64(1234567)):         "1,234,567",
		Counted(1, "flow"):            "1 flow",
		Counted(2000, "flow"):         "2,000 flows",
		Size(512):                     "512 B",
		Size(4100000):                 "4.1 MB",
		MS(382200 * time.Microsecond): "382",
		MS(99 * time.Millisecond):     "99",
		MS(1500 * time.Microsecond):   "1.5",
		Percent(.1):                   "10.0 %",
		Percent(1):                    "100 %",
		Percent(.0302):                "3.02 %",
		Percent(.00012):               "0.0120 %",
		Percent(0):                    "0 %",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLargest(t *testing.T) {
	got := Largest(map[string]uint64{"dns": 3, "udp": 14, "arp": 3})
	if want := []string{"udp", "arp", "dns"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
