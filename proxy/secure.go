package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/faultproxy/fault/proxy/mapping"
)

// security is how a connection to an upstream is secured.
type security struct {
	kind mapping.TLS // not NoTLS
	// config is what all connections of the run have in common: whom to trust.
	// Nil trusts whom the host trusts.
	config *tls.Config
	// host is the name, or address, that the certificate must be for. A name
	// is told to the server (SNI).
	host string
	// protocols are offered to the server (ALPN); see [protocols].
	protocols []string
}

// secure makes the connection to an upstream a TLS one. If it fails, c remains
// the caller's to close.
func secure(ctx context.Context, c *net.TCPConn, how security) (*tls.Conn, error) {
	if how.kind == mapping.PostgresTLS {
		if err := askForTLS(ctx, c); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{}
	if how.config != nil {
		config = how.config.Clone()
	}
	config.ServerName = how.host
	config.NextProtos = how.protocols
	secured := tls.Client(c, config)
	switch err := secured.HandshakeContext(ctx); {
	case err == nil:
		return secured, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, tlsError{fmt.Errorf("the server hung up during the TLS handshake: %w", err)}
	default:
		return nil, tlsError{err}
	}
}

// protocols are what to offer a mapping's target: the one that the client
// speaks, as nobody between them translates. http2 says that it began with
// HTTP/2, see [beginsHTTP2].
func protocols(m mapping.Mapping, http2 bool) []string {
	switch {
	case m.TLS == mapping.PostgresTLS:
		return []string{"postgresql"}
	case m.Scheme != "https":
		return nil
	case http2:
		return []string{"h2"}
	}
	return []string{"http/1.1"}
}

// tlsError is why TLS could not be had, or what broke it.
type tlsError struct{ error }

func (e tlsError) Unwrap() error { return e.error }

// isTLS says whether it is TLS that failed, be it in the handshake or later.
// It may still be because of what carries it.
func isTLS(err error) bool {
	// What crypto/tls says of alerts, ours and theirs, has no type but this.
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "local error" || op.Op == "remote error") {
		return true
	}
	return is[tlsError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err) ||
		is[*tls.CertificateVerificationError](err)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// What PostgreSQL clients send before anything else, in clear, to ask for
// encryption. The answer is one byte: S or G for yes, N for no.
var (
	sslRequest    = [8]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	gssencRequest = [8]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}
)

var errNoTLS = errors.New("the server has no TLS")

// askForTLS gets a PostgreSQL server to begin a handshake.
func askForTLS(ctx context.Context, c *net.TCPConn) error {
	// One byte and no more: whatever somebody put behind it in clear goes to
	// the handshake, which it breaks, and not to the client (CVE-2021-23222).
	var answer [1]byte
	err := whileIn(ctx, c, func() error {
		if _, err := c.Write(sslRequest[:]); err != nil {
			return err
		}
		_, err := io.ReadFull(c, answer[:])
		return err
	})
	switch {
	case errors.Is(err, io.EOF):
		return tlsError{fmt.Errorf("the server hung up when asked for TLS: %w", err)}
	case err != nil:
		return err
	case answer[0] == 'S':
		return nil
	case answer[0] == 'N':
		return tlsError{errNoTLS}
	case answer[0] == 'E':
		// What the error is comes next, from nobody knows whom (CVE-2024-10977).
		return tlsError{errors.New("the server answered with an error when asked for TLS")}
	}
	return tlsError{fmt.Errorf("the server is not PostgreSQL: it answered %q when asked for TLS", answer)}
}

// refuseClientTLS tells a PostgreSQL client that asks us for encryption that
// there is none, on which it goes on without or leaves. It returns the first 8
// bytes that are no such question, fewer if the client ended before.
func refuseClientTLS(ctx context.Context, c *net.TCPConn) (early []byte, err error) {
	err = whileIn(ctx, c, func() error {
		var askedTLS, askedGSS bool
		for {
			var message [8]byte
			n, err := io.ReadFull(c, message[:])
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				early = message[:n]
				return nil
			case err != nil:
				return err
			case message == sslRequest && !askedTLS:
				askedTLS = true
			case message == gssencRequest && !askedGSS:
				askedGSS = true
			default:
				early = message[:]
				return nil
			}
			if _, err := c.Write([]byte{'N'}); err != nil {
				return err
			}
		}
	})
	return early, err
}

var http2Preface = []byte("PRI * HTTP/2.0")

// beginsHTTP2 says whether a client begins with HTTP/2, and returns what it
// read to find out: up to where the client does not, or has ended.
func beginsHTTP2(ctx context.Context, c *net.TCPConn) (early []byte, yes bool, err error) {
	early = make([]byte, 0, len(http2Preface))
	err = whileIn(ctx, c, func() error {
		for len(early) < cap(early) && bytes.HasPrefix(http2Preface, early) {
			n, err := c.Read(early[len(early):cap(early)])
			early = early[:len(early)+n]
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return early, bytes.Equal(early, http2Preface), err
}

// whileIn does something on a connection that ends when ctx does, with the
// error of ctx. Nobody else may use the connection's deadlines meanwhile.
func whileIn(ctx context.Context, c *net.TCPConn, do func() error) error {
	// A deadline in the past ends what is at work.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	err := do()
	if !stop() {
		return ctx.Err()
	}
	return err
}
