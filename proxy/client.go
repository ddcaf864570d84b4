package proxy

import (
	"context"
	"net"
	"net/http"

	"github.com/faultproxy/fault/proxy/mapping"
)

// client is a connection of an HTTP client, with the connections that its
// requests use. They are as much its own as if it had made them itself: nobody
// else sends over them, and they end when it does.
type client struct {
	*net.TCPConn
	upstreams *http.Transport
	mapping   *mapping.Mapping // that it came by; nil if it asks for a proxy
}

func (s *Server) newClient(c *net.TCPConn, m *mapping.Mapping) *client {
	return &client{c, s.newTransport(), m}
}

// entry is how the client's flows came to us, if not by a mapping.
func (c *client) entry(otherwise Entry) Entry {
	if c.mapping != nil {
		return EntryMapping
	}
	return otherwise
}

// Close closes the connections to upstreams, too.
func (c *client) Close() error {
	c.upstreams.CloseIdleConnections()
	return c.TCPConn.Close()
}

type clientKey struct{}

// clientOf is whose request this is.
func clientOf(r *http.Request) *client { return r.Context().Value(clientKey{}).(*client) }

func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// hijack takes a client's connection over from the HTTP server, with what the
// client sent behind its request.
func hijack(w http.ResponseWriter) (*net.TCPConn, []byte, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := conn.(*client)
	c.upstreams.CloseIdleConnections()
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	return c.TCPConn, early, err
}

// abort ends a request with a reset instead of a response.
func (c *client) abort() {
	reset(c.TCPConn)
	panic(http.ErrAbortHandler)
}
