package lines

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlush holds that what was printed has been written, and that nobody
// waits for a reader who does not read.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		slow := make(chan struct{})
		w := NewWriter(writerFunc(func(p []byte) (int, error) {
			<-slow
			return out.Write(p)
		}))
		w.Print("one\n")
		began := time.Now()
		w.Flush(time.Second)
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("waited %v for nobody", waited)
		}
		close(slow)
		w.Print("two\n")
		w.Flush(time.Hour)
		if waited := time.Since(began); out.String() != "one\ntwo\n" || waited != time.Second {
			t.Errorf("%q is written after %v", &out, waited)
		}
		w.Close(time.Hour)
		w.Flush(time.Hour)
	})
}
