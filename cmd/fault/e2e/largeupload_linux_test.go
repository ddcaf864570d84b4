package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"
)

// halfGigabyte is what is uploaded: the same each time, and nowhere kept.
func halfGigabyte() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{}), 500_000_000) }

// TestLargeUpload holds that a body of no known length arrives as it was sent,
// however long it gets, and that the agent does not keep it.
func TestLargeUpload(t *testing.T) {
	needs(t, "curl")
	hash := sha256.New()
	if _, err := io.Copy(hash, halfGigabyte()); err != nil {
		t.Fatal(err)
	}
	want := received(hash.Sum(nil), []string{"chunked"})
	bare, lines := newLines(t)
	for _, l := range append(lines, bare) {
		// One after the other, as each keeps the processors busy.
		t.Run(string(l.way), func(t *testing.T) {
			ln := l.server.listen(t, serverAddress)
			go func() { _ = http.Serve(ln, http.HandlerFunc(hashBody)) }()
			began := time.Now()
			upload := program(t, "curl", append(l.through(), "-sS", "--max-time", "20", "--upload-file", "-", serverURL+"/")...)
			upload.Stdin = halfGigabyte()
			if got := answer(t, l.client, upload); got != want {
				t.Errorf("the server received %s, want %s", got, want)
			}
			took := time.Since(began)
			if l.agent == nil {
				t.Logf("%v", took)
				return
			}
			most := l.agent.mostMemory(t)
			t.Logf("%v; the agent had %d MB at most", took, most>>20)
			if most > 128<<20 {
				t.Errorf("the agent had %d MB", most>>20)
			}
			if s := l.agent.stop(t); s.flows != 1 || s.matched != 1 || len(s.errors) > 0 {
				t.Errorf("%+v, want one flow", s)
			}
		})
	}
}

// hashBody says what it received.
func hashBody(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r.Body); err == nil {
		fmt.Fprintln(w, received(hash.Sum(nil), r.TransferEncoding))
	}
}

func received(sum []byte, encoding []string) string {
	return fmt.Sprintf("%s %v", hex.EncodeToString(sum), encoding)
}

// mostMemory is the most that a process has had, in bytes.
func (p *process) mostMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(p.procPath("status"))
	if err != nil {
		t.Fatal(err)
	}
	return number(t, found(t, string(status), `(?m)^VmHWM:\s+(\d+) kB$`)[1]) << 10
}
