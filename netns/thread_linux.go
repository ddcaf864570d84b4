package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Thread is an OS thread that stays in a namespace, for who works there again
// and again: that takes the privilege of [NS.Do] once, and no thread each time.
// Its methods may be called from several goroutines at once.
type Thread struct {
	work  chan func()
	close chan struct{}
	ended chan struct{}
}

// Thread enters the namespace with a thread of its own. The caller closes it;
// the namespace lasts until then.
func (ns *NS) Thread() (*Thread, error) {
	t := &Thread{work: make(chan func()), close: make(chan struct{}), ended: make(chan struct{})}
	entered := make(chan error)
	go t.run(ns, entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("enter network namespace %d: %w", ns.inode, err)
	}
	return t, nil
}

// run stays locked to its thread, so that the thread ends with it.
func (t *Thread) run(ns *NS, entered chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// See locked: this one waits, so that a second one runs elsewhere.
		defer runtime.UnlockOSThread()
		elsewhere := make(chan struct{})
		go func() {
			defer close(elsewhere)
			t.run(ns, entered)
		}()
		<-elsewhere
		return
	}
	defer close(t.ended)
	err := ns.enterAgain()
	entered <- err
	if err != nil {
		return
	}
	for {
		select {
		case f := <-t.work:
			f()
		case <-t.close:
			return
		}
	}
}

// Do runs f inside the namespace and waits for it, as [NS.Do] does. One f runs at
// a time, and it may not panic. The error is f's, or os.ErrClosed after Close.
func (t *Thread) Do(f func() error) error {
	var err error
	done := make(chan struct{})
	select {
	case t.work <- func() { err = f(); close(done) }:
		<-done
		return err
	case <-t.ended:
		return os.ErrClosed
	}
}

// Socket opens a socket inside the namespace, as socket(2) does; it does not
// block, and exec closes it. The caller owns the descriptor.
func (t *Thread) Socket(family, kind, protocol int) (fd int, err error) {
	err = t.Do(func() (err error) {
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open a socket in another network namespace: %w", err)
	}
	return fd, nil
}

// Close ends the thread once the f at which it is has returned. A second Close
// returns os.ErrClosed.
func (t *Thread) Close() error {
	select {
	case t.close <- struct{}{}:
		<-t.ended
		return nil
	case <-t.ended:
		return os.ErrClosed
	}
}
