package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// promptBody is the body of a response whose length is known. Its client gets the
// head at once, as from the server, but in one packet with what is there of the
// body by then: ReverseProxy could either have it wait for the body, or send it
// apart in any case.
type promptBody struct {
	io.ReadCloser
	client http.ResponseWriter
	begun  bool
}

// Read sends the head on if the first bytes of the body are not there yet.
func (b *promptBody) Read(p []byte) (int, error) {
	if b.begun {
		return b.ReadCloser.Read(p)
	}
	b.begun = true
	var mu sync.Mutex
	there := false
	late := time.AfterFunc(0, func() {
		mu.Lock()
		defer mu.Unlock()
		if !there {
			_ = http.NewResponseController(b.client).Flush()
		}
	})
	n, err := b.ReadCloser.Read(p)
	late.Stop()
	mu.Lock()
	defer mu.Unlock()
	there = true
	return n, err
}
