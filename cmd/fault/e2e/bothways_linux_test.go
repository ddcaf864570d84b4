package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// pattern is a stream without end in which no place looks like another: a block
// of noise, each time from one byte further on.
type pattern struct {
	block []byte
	at    int64
}

func newPattern(seed byte) *pattern {
	block := make([]byte, 1<<20+7)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(block)
	return &pattern{block: block}
}

// next is up to n bytes of what follows.
func (p *pattern) next(n int) []byte {
	size := int64(len(p.block))
	turn, at := p.at/(size-1), p.at%(size-1)
	from := (at + turn) % size
	b := p.block[from:min(size, from+min(int64(n), size-1-at))]
	p.at += int64(len(b))
	return b
}

// TestBothWays sends a GiB each way at once, with readers that are fast, slow and
// asleep by turns, so that an agent copies, moves and holds back bytes in every
// order. None may be lost, altered, or out of its place.
func TestBothWays(t *testing.T) {
	const size = 1 << 30
	server := newServer(t)
	h := newClient(t, server)
	a := h.run(t, "--transparent", "off", "--proxy", "127.0.0.1:15000="+serverAddress)
	ln := server.listen(t, serverAddress)
	client, err := h.dial("127.0.0.1:15000")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var work sync.WaitGroup
	for i, c := range []net.Conn{client, peer} {
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		work.Go(func() {
			if err := sendPattern(c, newPattern(byte(i)), size); err != nil {
				t.Errorf("send: %v", err)
			}
		})
		work.Go(func() {
			if err := wantPattern(c, newPattern(byte(1-i)), size); err != nil {
				t.Errorf("receive: %v", err)
			}
		})
	}
	work.Wait()
	if s := a.stop(t); s.flows != 1 || len(s.errors) > 0 {
		t.Errorf("%+v, want one flow without errors", s)
	}
}

// sendPattern sends it in pieces of all sizes, and the end.
func sendPattern(c net.Conn, p *pattern, size int64) error {
	rng := rand.New(rand.NewPCG(uint64(p.block[0]), 1))
	for p.at < size {
		if _, err := c.Write(p.next(int(min(size-p.at, 1<<rng.IntN(21))))); err != nil {
			return err
		}
	}
	return c.(*net.TCPConn).CloseWrite()
}

// wantPattern reads it and nothing else.
func wantPattern(c net.Conn, p *pattern, size int64) error {
	rng := rand.New(rand.NewPCG(uint64(p.block[0]), 2))
	buf := make([]byte, 1<<20)
	for {
		if rng.IntN(200) == 0 {
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
		at := p.at
		n, err := c.Read(buf[:1<<rng.IntN(21)])
		for got := buf[:n]; len(got) > 0; {
			want := p.next(len(got))
			if !bytes.Equal(got[:len(want)], want) {
				return fmt.Errorf("other bytes within %d of %d", n, at)
			}
			got = got[len(want):]
		}
		switch {
		case errors.Is(err, io.EOF) && p.at == size:
			return nil
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", p.at, size, err)
		}
	}
}
