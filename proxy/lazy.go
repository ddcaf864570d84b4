package proxy

import (
	"context"
	"io"
	"net"
	"sync"
)

// lazy is an upstream that is dialled when something is to go there.
type lazy struct {
	dial   func() (stream, error)
	cancel func()
	once   sync.Once
	ready  chan struct{} // closed when there is one, or never will be

	mu      sync.Mutex
	conn    stream
	err     error // why there is none
	nothing bool  // is to go there any more
}

func newLazy(ctx context.Context, dial func(context.Context) (stream, error)) *lazy {
	ctx, cancel := context.WithCancel(ctx)
	return &lazy{
		dial: func() (stream, error) { return dial(ctx) }, cancel: cancel,
		ready: make(chan struct{}),
	}
}

// connect begins to dial, if nobody did.
func (l *lazy) connect() {
	l.once.Do(func() {
		go func() {
			conn, err := l.dial()
			l.settle(conn, err)
		}()
	})
}

func (l *lazy) settle(conn stream, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.nothing {
		err = io.EOF
	}
	l.conn, l.err = conn, err
	close(l.ready)
}

// get waits for the upstream.
func (l *lazy) get() (stream, error) {
	<-l.ready
	return l.conn, l.err
}

// reach dials, if nobody did, and gives up if the client does. Nobody may read
// from the client meanwhile.
func (l *lazy) reach(client *net.TCPConn) error {
	l.connect()
	select {
	case <-l.ready:
	default:
		defer watch(client, l.cancel)()
	}
	_, err := l.get()
	return err
}

// dialled is the upstream, if there is one by now.
func (l *lazy) dialled() stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// Read waits until somebody has the upstream dialled.
func (l *lazy) Read(p []byte) (int, error) {
	conn, err := l.get()
	if err != nil {
		return 0, err
	}
	return conn.Read(p)
}

// Write dials, if nobody did.
func (l *lazy) Write(p []byte) (int, error) {
	l.connect()
	conn, err := l.get()
	if err != nil {
		return 0, err
	}
	return conn.Write(p)
}

// CloseWrite of an upstream that nobody needed is the end of both directions.
// One that is still being dialled is not needed: whoever had something for it
// would have waited.
func (l *lazy) CloseWrite() error {
	l.unneeded()
	l.once.Do(func() { l.settle(nil, io.EOF) })
	conn, err := l.get()
	if err != nil {
		return nil
	}
	return sendEnd(conn)
}

func (l *lazy) unneeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ready: // and what it is used for goes on
	default:
		l.nothing = true
		l.cancel()
	}
}

// Close ends the dialling, or closes the upstream, and waits for that.
func (l *lazy) Close() error {
	l.cancel()
	l.once.Do(func() { l.settle(nil, net.ErrClosed) })
	conn, err := l.get()
	if err != nil {
		return nil
	}
	return conn.Close()
}
