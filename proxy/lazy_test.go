package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// dials counts the dialling of an upstream, which is done when told so.
type dials struct {
	n    atomic.Int64
	told chan error // nil is success
}

// to dials a connection that is there.
func (d *dials) to(conn *net.TCPConn) func(context.Context) (stream, error) {
	d.told = make(chan error, 1)
	return func(ctx context.Context) (stream, error) {
		d.n.Add(1)
		select {
		case err := <-d.told:
			return asStream(conn, err)
		case <-ctx.Done():
			conn.Close()
			return nil, ctx.Err()
		}
	}
}

func TestLazyDialsOnce(t *testing.T) {
	noLeaks(t)
	var d dials
	ours, server := connected(t)
	l := newLazy(t.Context(), d.to(ours))
	if l.dialled() != nil || tcpOf(l) != nil || d.n.Load() != 0 {
		t.Error("dialled unasked")
	}
	var work sync.WaitGroup
	for range 4 {
		work.Go(l.connect)
		work.Go(func() { send(t, l, "x") })
	}
	work.Go(func() { expect(t, l, "yyyy") })
	d.told <- nil
	expect(t, server, "xxxx")
	send(t, server, "yyyy")
	work.Wait()
	if d.n.Load() != 1 || tcpOf(l) != ours {
		t.Errorf("dialled %d times", d.n.Load())
	}
	if err := l.CloseWrite(); err != nil {
		t.Error(err)
	}
	expectEnd(t, server, "")
	send(t, server, "z")
	expect(t, l, "z") // it was the end of one direction only
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// An upstream that nobody needed ends when its client does, and is not dialled
// then.
func TestLazyIsNotNeeded(t *testing.T) {
	noLeaks(t)
	var d dials
	ours, _ := connected(t)
	l := newLazy(t.Context(), d.to(ours))
	read := make(chan error, 1)
	go func() { _, err := l.Read(make([]byte, 1)); read <- err }()
	if err := l.CloseWrite(); err != nil {
		t.Error(err)
	}
	if err := next(t, read); err != io.EOF {
		t.Error(err)
	}
	if _, err := l.Write([]byte("x")); err == nil || d.n.Load() != 0 {
		t.Errorf("writing to nothing: %v", err)
	}
	if err := errors.Join(l.Close(), l.CloseWrite()); err != nil {
		t.Error(err)
	}
}

// One that is still being dialled is not waited for.
func TestLazyIsNoLongerNeeded(t *testing.T) {
	noLeaks(t)
	var d dials
	ours, _ := connected(t)
	l := newLazy(t.Context(), d.to(ours))
	l.connect()
	if err := l.CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := l.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	l.Close()
}

func TestLazyCannotDial(t *testing.T) {
	noLeaks(t)
	var d dials
	ours, _ := connected(t)
	l := newLazy(t.Context(), d.to(ours))
	odd := errors.New("odd")
	d.told <- odd
	if _, err := l.Write([]byte("x")); err != odd {
		t.Error(err)
	}
	if _, err := l.Read(make([]byte, 1)); err != odd {
		t.Error(err)
	}
	if err := errors.Join(l.CloseWrite(), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestLazyIsClosed(t *testing.T) {
	for name, begin := range map[string]func(*lazy){
		"at first": func(*lazy) {}, "while dialling": (*lazy).connect,
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var d dials
			ours, _ := connected(t)
			l := newLazy(t.Context(), d.to(ours))
			begin(l)
			reset(l)
			if _, err := l.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if _, err := l.Write([]byte("x")); err == nil {
				t.Error("wrote")
			}
			ours.Close()
		})
	}
}

// Whoever is first, the connection that was dialled does not stay.
func TestLazyIsClosedAsItIsDialled(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	for range 200 {
		l := newLazy(t.Context(), func(ctx context.Context) (stream, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", ln.Addr().String())
			if err != nil {
				return nil, err
			}
			return c.(*net.TCPConn), nil
		})
		l.connect()
		var work sync.WaitGroup
		work.Go(func() { _, _ = l.Read(make([]byte, 1)) })
		work.Go(func() { _, _ = l.Write([]byte("x")) })
		work.Go(func() { _ = l.CloseWrite() })
		l.Close()
		work.Wait()
	}
}

// Waiting for the upstream ends when that has failed.
func TestLazyIsReached(t *testing.T) {
	noLeaks(t)
	for _, want := range []error{nil, errors.New("odd")} {
		var d dials
		ours, _ := connected(t)
		client, _ := connected(t)
		l := newLazy(t.Context(), d.to(ours))
		d.told <- want
		for range 2 {
			if err := l.reach(client); err != want {
				t.Error(err)
			}
		}
		l.Close()
	}
}
