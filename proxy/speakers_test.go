package proxy

import (
	"fmt"
	"io"
	"testing"
)

func TestSpeakersAreRemembered(t *testing.T) {
	var s speakers
	for first, want := range map[End]any{"": speakFirst, EndClient: speakKnown, EndUpstream: 0 * ms} {
		if first != "" {
			s.learn("db:5432", first)
		}
		if got := s.silence("db:5432"); first != "" && got != want || s.silence("other:1") != speakFirst {
			t.Errorf("after %q a client may be silent for %v, want %v", first, got, want)
		}
	}
	for i := range 2 * speakersKept {
		s.learn(fmt.Sprint(i), EndClient)
	}
	if len(s.first) > speakersKept {
		t.Errorf("%d are remembered", len(s.first))
	}
}

// Only the first client of a server that speaks first waits for its greeting.
func TestServerThatSpeaksFirstIsRemembered(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	p := run(t, &Server{Origin: divertedTo(ln), Plan: answering(1, 1)})
	for range 2 {
		c := dial(t, p.addr)
		server := accept(t, ln)
		send(t, server, "220 hello\r\n")
		expect(t, c, "220 hello\r\n")
		c.Close()
		_, _ = io.Copy(io.Discard, server)
		server.Close()
		next(t, p.ended)
		if wait := p.speakers.silence(ln.Addr().String()); wait != 0 {
			t.Errorf("the next client has %v to speak", wait)
		}
	}
}
