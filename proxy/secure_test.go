package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultproxy/fault/proxy/mapping"
)

// authority signs certificates, and only tests trust it.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{}
	a.certificate, a.key = a.sign(t, &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		Subject: pkix.Name{CommonName: "an authority"},
	})
	return a
}

func (a *authority) sign(t testing.TB, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed, key
}

// issue gives a server certificate for names and addresses.
func (a *authority) issue(t testing.TB, hosts ...string) *tls.Config {
	t.Helper()
	c := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	signed, key := a.sign(t, c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed.Raw}, PrivateKey: key}}}
}

func (a *authority) trusted() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return &tls.Config{RootCAs: roots}
}

// serverSide is what a server knows of a connection that became TLS.
type serverSide struct {
	*tls.Conn
	err error
}

// connected is the two ends of a connection.
func connected(t testing.TB) (ours, server *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	ours = dial(t, ln.Addr().String())
	return ours, accept(t, ln)
}

// shakeHands is a TLS server. A server of PostgreSQL is asked first.
func shakeHands(c *net.TCPConn, config *tls.Config, kind mapping.TLS) <-chan serverSide {
	done := make(chan serverSide, 1)
	go func() {
		if kind == mapping.PostgresTLS {
			if err := questioned(c); err != nil {
				done <- serverSide{nil, err}
				return
			}
			_, _ = io.WriteString(c, "S")
		}
		s := tls.Server(c, config)
		done <- serverSide{s, s.Handshake()}
	}()
	return done
}

// questioned reads the question whether a server has TLS.
func questioned(c io.Reader) error {
	var question [8]byte
	if _, err := io.ReadFull(c, question[:]); err != nil {
		return err
	}
	if question != [8]byte{0, 0, 0, 8, 4, 210, 22, 47} {
		return fmt.Errorf("was asked %v", question)
	}
	return nil
}

func TestSecure(t *testing.T) {
	a := newAuthority(t)
	db, address := a.issue(t, "db.internal", "*.example.com"), a.issue(t, "127.0.0.1", "::1")
	blind := &tls.Config{InsecureSkipVerify: true}
	for _, tc := range []struct {
		name   string
		server *tls.Config
		config *tls.Config
		host   string
		sni    string
		err    string
	}{
		{"right name", db, a.trusted(), "db.internal", "db.internal", ""},
		{"right name in capitals", db, a.trusted(), "DB.Internal", "DB.Internal", ""},
		{"absolute name", db, a.trusted(), "db.internal.", "db.internal", ""},
		{"wildcard", db, a.trusted(), "www.example.com", "www.example.com", ""},
		{"wrong name", db, a.trusted(), "other.internal", "other.internal", "x509: certificate is valid for db.internal, *.example.com, not other.internal"},
		{"untrusted", db, &tls.Config{RootCAs: x509.NewCertPool()}, "db.internal", "db.internal", "x509: certificate signed by unknown authority"},
		{"untrusted by the host", db, nil, "db.internal", "db.internal", "x509: certificate signed by unknown authority"},
		{"unverified", db, blind, "other.internal", "other.internal", ""},
		{"another's name in the base", db, &tls.Config{RootCAs: a.trusted().RootCAs, ServerName: "x", NextProtos: []string{"x"}}, "db.internal", "db.internal", ""},
		{"right address", address, a.trusted(), "127.0.0.1", "", ""},
		{"right IPv6 address", address, a.trusted(), "::1", "", ""},
		{"wrong address", address, a.trusted(), "127.0.0.2", "", "x509: certificate is valid for 127.0.0.1, ::1, not 127.0.0.2"},
		{"address, certificate for a name", db, a.trusted(), "127.0.0.1", "", "x509: cannot validate certificate for 127.0.0.1"},
		{"name, certificate for an address", address, a.trusted(), "db.internal", "db.internal", "x509: certificate is not valid for any names"},
	} {
		for kind, how := range map[mapping.TLS]string{mapping.DirectTLS: "direct", mapping.PostgresTLS: "postgres"} {
			t.Run(tc.name+" "+how, func(t *testing.T) {
				noLeaks(t)
				c, far := connected(t)
				hello := make(chan string, 1)
				config := tc.server.Clone()
				config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					hello <- h.ServerName
					return nil, nil
				}
				served := shakeHands(far, config, kind)
				ours, err := secure(t.Context(), c, security{kind: kind, config: tc.config, host: tc.host})
				if sni := next(t, hello); sni != tc.sni {
					t.Errorf("asked for %q, want %q", sni, tc.sni)
				}
				theirs := next(t, served)
				if tc.err != "" {
					if err == nil || !strings.Contains(err.Error(), tc.err) || Failure(err) != "tls" {
						t.Errorf("%v (%s), want %q (tls)", err, Failure(err), tc.err)
					}
					if !is[*tls.CertificateVerificationError](err) {
						t.Errorf("%v has lost what it is", err)
					}
					return
				}
				if err != nil || theirs.err != nil {
					t.Fatal(err, theirs.err)
				}
				send(t, ours, "question")
				expect(t, theirs, "question")
				send(t, theirs, "answer")
				expect(t, ours, "answer")
				if err := ours.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				expectEnd(t, theirs, "")
				send(t, theirs, "last words")
				theirs.Close()
				expectEnd(t, ours, "last words")
			})
		}
	}
}

// A certificate that does not fit is for the caller to explain.
func TestCertificateErrorIsKept(t *testing.T) {
	noLeaks(t)
	a := newAuthority(t)
	c, far := connected(t)
	served := shakeHands(far, a.issue(t, "db.example.com"), mapping.DirectTLS)
	_, err := secure(t.Context(), c, security{kind: mapping.DirectTLS, config: a.trusted(), host: "db.internal"})
	next(t, served)
	wrong, ok := errors.AsType[x509.HostnameError](err)
	if !ok || wrong.Host != "db.internal" || !slices.Equal(wrong.Certificate.DNSNames, []string{"db.example.com"}) {
		t.Errorf("%v", err)
	}
}

// What is negotiated is what the client of the mapping speaks.
func TestProtocols(t *testing.T) {
	a := newAuthority(t)
	for _, tc := range []struct {
		mapping string
		http2   bool
		offered []string
		has     string // the server
		want    string
	}{
		{"1=https://h", false, []string{"http/1.1"}, "h2 http/1.1", "http/1.1"},
		{"1=https://h", true, []string{"h2"}, "http/1.1 h2", "h2"},
		{"1=https://h", true, []string{"h2"}, "", ""},
		{"http:1=https://h", false, []string{"http/1.1"}, "h2 http/1.1", "http/1.1"},
		{"https:1=h:443", false, []string{"http/1.1"}, "h2 http/1.1", "http/1.1"},
		{"1=tls://h:443", false, nil, "h2 http/1.1", ""},
		{"1=tls://h:443", true, nil, "h2 http/1.1", ""},
		{"http:1=tls://h:443", false, nil, "h2 http/1.1", ""},
		{"1=psqls://h", false, []string{"postgresql"}, "postgresql", "postgresql"},
		{"1=psqls://h", false, []string{"postgresql"}, "", ""}, // before PostgreSQL 17
		{"psqls:1=h:5432", false, []string{"postgresql"}, "postgresql", "postgresql"},
	} {
		t.Run(fmt.Sprintf("%s http2=%v at %s", tc.mapping, tc.http2, tc.has), func(t *testing.T) {
			noLeaks(t)
			m, err := mapping.Parse(tc.mapping)
			if err != nil {
				t.Fatal(err)
			}
			c, far := connected(t)
			config := a.issue(t, "h")
			config.NextProtos = strings.Fields(tc.has)
			offered := make(chan []string, 1)
			config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				offered <- h.SupportedProtos
				return nil, nil
			}
			served := shakeHands(far, config, m.TLS)
			ours, err := secure(t.Context(), c, security{m.TLS, a.trusted(), m.Host, protocols(m, tc.http2)})
			if err != nil {
				t.Fatal(err)
			}
			if theirs := next(t, served); theirs.err != nil {
				t.Fatal(theirs.err)
			}
			if got := next(t, offered); !slices.Equal(got, tc.offered) {
				t.Errorf("offered %q, want %q", got, tc.offered)
			}
			if got := ours.ConnectionState().NegotiatedProtocol; got != tc.want {
				t.Errorf("negotiated %q, want %q", got, tc.want)
			}
		})
	}
}

// Whatever a server does instead of a handshake, there is a word for it.
func TestNoHandshake(t *testing.T) {
	hangUp := func(c *net.TCPConn) { c.Close() }
	silent := func(*net.TCPConn) {}
	for _, tc := range []struct {
		name    string
		kind    mapping.TLS
		answer  string
		then    func(c *net.TCPConn)
		err     string
		failure string
	}{
		{"ended", mapping.DirectTLS, "", func(c *net.TCPConn) { _ = c.CloseWrite() }, "hung up during the TLS handshake", "tls"},
		{"ended within a record", mapping.DirectTLS, "\x16\x03\x03\x00", func(c *net.TCPConn) { _ = c.CloseWrite() }, "hung up during the TLS handshake", "tls"},
		{"reset", mapping.DirectTLS, "", func(c *net.TCPConn) { reset(c) }, "connection reset", "reset"},
		{"no TLS", mapping.DirectTLS, "HTTP/1.1 400 Bad Request\r\n\r\n", silent, "does not look like a TLS handshake", "tls"},
		{"alert", mapping.DirectTLS, "\x15\x03\x03\x00\x02\x02\x28", silent, "remote error: tls: handshake failure", "tls"},

		{"postgres without TLS", mapping.PostgresTLS, "N", silent, "the server has no TLS", "tls"},
		{"postgres with an error", mapping.PostgresTLS, "E\x00\x00\x00\x10Cdo as I say\x00\x00", silent, "answered with an error", "tls"},
		{"postgres not", mapping.PostgresTLS, "HTTP/1.1 400 Bad Request\r\n\r\n", silent, "is not PostgreSQL: it answered \"H\"", "tls"},
		{"postgres ended", mapping.PostgresTLS, "", func(c *net.TCPConn) { _ = c.CloseWrite() }, "hung up when asked for TLS", "tls"},
		{"postgres closed", mapping.PostgresTLS, "", hangUp, "hung up when asked for TLS", "tls"},
		{"postgres reset", mapping.PostgresTLS, "", func(c *net.TCPConn) { reset(c) }, "connection reset", "reset"},
		{"postgres ended before the handshake", mapping.PostgresTLS, "S", func(c *net.TCPConn) { _ = c.CloseWrite() }, "hung up during the TLS handshake", "tls"},
		// CVE-2021-23222: what was slipped in behind the S is never the server's.
		{"postgres stuffed", mapping.PostgresTLS, "SR\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I", silent, "does not look like a TLS handshake", "tls"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			c, far := connected(t)
			served := make(chan error, 1)
			go func() {
				var err error
				if tc.kind == mapping.PostgresTLS {
					err = questioned(far)
				} else { // what ClientHello begins with
					_, err = io.ReadFull(far, make([]byte, 5))
				}
				_, _ = io.WriteString(far, tc.answer)
				tc.then(far)
				served <- err
			}()
			secured, err := secure(t.Context(), c, security{kind: tc.kind, host: "h"})
			if err == nil || !strings.Contains(err.Error(), tc.err) || Failure(err) != tc.failure || secured != nil {
				t.Errorf("%v (%s), want %q (%s)", err, Failure(err), tc.err, tc.failure)
			}
			if err := next(t, served); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that wants a certificate of the client says so after the handshake.
func TestAlertAfterHandshake(t *testing.T) {
	noLeaks(t)
	a := newAuthority(t)
	config := a.issue(t, "h")
	config.ClientAuth = tls.RequireAnyClientCert
	c, far := connected(t)
	served := shakeHands(far, config, mapping.DirectTLS)
	ours, err := secure(t.Context(), c, security{kind: mapping.DirectTLS, config: a.trusted(), host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); Failure(err) != "tls" {
		t.Errorf("%v (%s)", err, Failure(err))
	}
	if theirs := next(t, served); Failure(theirs.err) != "other" && Failure(theirs.err) != "tls" {
		t.Errorf("%v (%s)", theirs.err, Failure(theirs.err))
	}
}

// Each way to wait for the other end ends with the context, and says why.
func TestSecuringEndsWithItsContext(t *testing.T) {
	ways := map[string]func(ctx context.Context, c *net.TCPConn) error{
		"handshake": func(ctx context.Context, c *net.TCPConn) error {
			_, err := secure(ctx, c, security{kind: mapping.DirectTLS, host: "h"})
			return err
		},
		"postgres": func(ctx context.Context, c *net.TCPConn) error {
			_, err := secure(ctx, c, security{kind: mapping.PostgresTLS, host: "h"})
			return err
		},
		"postgres client": func(ctx context.Context, c *net.TCPConn) error {
			_, err := refuseClientTLS(ctx, c)
			return err
		},
		"HTTP/2 client": func(ctx context.Context, c *net.TCPConn) error {
			_, _, err := beginsHTTP2(ctx, c)
			return err
		},
	}
	for name, wait := range ways {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s cancelled before=%v", name, before), func(t *testing.T) {
				noLeaks(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c, far := connected(t)
				if before {
					cancel()
				} else if name == "handshake" || name == "postgres" {
					go func() { // once we wait for an answer
						_, _ = far.Read(make([]byte, 1))
						cancel()
					}()
				} else {
					time.AfterFunc(time.Millisecond, cancel)
				}
				if err := wait(ctx, c); Failure(err) != "client-gone" {
					t.Errorf("%v (%s)", err, Failure(err))
				}
			})
		}
		t.Run(name+" too late", func(t *testing.T) {
			noLeaks(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			c, _ := connected(t)
			if err := wait(ctx, c); Failure(err) != "timeout" {
				t.Errorf("%v (%s)", err, Failure(err))
			}
		})
	}
}

const (
	askTLS  = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	askGSS  = "\x00\x00\x00\x08\x04\xd2\x16\x30"
	startup = "\x00\x00\x00\x1a\x00\x03\x00\x00user\x00somebody\x00\x00rest"
)

// A client of PostgreSQL goes on without TLS, and nothing that it says is lost.
func TestRefuseClientTLS(t *testing.T) {
	for _, tc := range []struct {
		name    string
		says    string
		answers string
		early   string
	}{
		{"startup", startup, "", startup[:8]},
		{"sslmode=prefer", askTLS + startup, "N", startup[:8]},
		{"gssencmode=prefer", askGSS + startup, "N", startup[:8]},
		{"both", askGSS + askTLS + startup, "NN", startup[:8]},
		{"both, the other way round", askTLS + askGSS + startup, "NN", startup[:8]},
		{"the same twice", askTLS + askTLS + startup, "N", askTLS},
		{"the same thrice", askGSS + askTLS + askGSS + startup, "NN", askGSS},
		{"cancel request", "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02", "", "\x00\x00\x00\x10\x04\xd2\x16\x2e"},
		{"cancel request after", askTLS + "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02", "N", "\x00\x00\x00\x10\x04\xd2\x16\x2e"},
		{"sslmode=require", askTLS, "N", ""},
		{"nothing", "", "", ""},
		{"less than a message", askTLS + "abc", "N", "abc"},
		{"something else", "GET / HTTP/1.1\r\n\r\n", "", "GET / HT"},
	} {
		for _, slow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s slow=%v", tc.name, slow), func(t *testing.T) {
				noLeaks(t)
				ours, client := connected(t)
				said := make(chan error, 1)
				go func() { said <- say(client, tc.says, slow) }()
				early, err := refuseClientTLS(t.Context(), ours)
				if err != nil || string(early) != tc.early {
					t.Errorf("%q, %v, want %q", early, err, tc.early)
				}
				if err := next(t, said); err != nil {
					t.Fatal(err)
				}
				// The rest is where it was, and nothing is left of the waiting.
				asked := len(tc.answers) * len(askTLS)
				expectEnd(t, ours, tc.says[asked+len(early):])
				closeWrite(t, ours)
				expectEnd(t, client, tc.answers)
			})
		}
	}
}

// say sends a text, slowly byte by byte, and then the end.
func say(c *net.TCPConn, text string, slow bool) error {
	for len(text) > 0 {
		n := len(text)
		if slow {
			n = 1
		}
		if _, err := io.WriteString(c, text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return c.CloseWrite()
}

func TestClientGoneBeforeItsFirstMessage(t *testing.T) {
	noLeaks(t)
	ours, client := connected(t)
	send(t, client, askTLS)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.ReadFull(client, make([]byte, 1))
		reset(client)
	}()
	if early, err := refuseClientTLS(t.Context(), ours); Failure(err) != "reset" {
		t.Errorf("%q, %v", early, err)
	}
	next(t, gone)
}

func TestBeginsHTTP2(t *testing.T) {
	for text, want := range map[string]struct {
		early string // at least
		yes   bool
	}{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00": {"PRI * HTTP/2.0", true},
		"PRI * HTTP/2.0":          {"PRI * HTTP/2.0", true},
		"PRI * HTTP/1.1\r\n\r\n":  {"PRI * HTTP/1", false},
		"PRI * HTTP":              {"PRI * HTTP", false},
		"POST / HTTP/1.1\r\n\r\n": {"PO", false},
		"GET / HTTP/1.1\r\n\r\n":  {"G", false},
		"\n":                      {"\n", false},
		"":                        {"", false},
	} {
		for _, slow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q slow=%v", text, slow), func(t *testing.T) {
				noLeaks(t)
				ours, client := connected(t)
				said := make(chan error, 1)
				go func() { said <- say(client, text, slow) }()
				early, yes, err := beginsHTTP2(t.Context(), ours)
				if err != nil || yes != want.yes || !strings.HasPrefix(string(early), want.early) {
					t.Errorf("%q, %v, %v, want %q, %v", early, yes, err, want.early, want.yes)
				}
				if err := next(t, said); err != nil {
					t.Fatal(err)
				}
				expectEnd(t, ours, text[len(early):])
			})
		}
	}
}

// One byte says that a client is none of HTTP/2, and is not waited for more.
func TestBeginsHTTP2DoesNotWait(t *testing.T) {
	noLeaks(t)
	ours, client := connected(t)
	send(t, client, "*")
	if early, yes, err := beginsHTTP2(t.Context(), ours); string(early) != "*" || yes || err != nil {
		t.Errorf("%q, %v, %v", early, yes, err)
	}
}

func TestFailureOfTLS(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{tlsError{errNoTLS}, "tls"},
		{fmt.Errorf("wrapped: %w", tlsError{io.EOF}), "tls"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls"},
		{tls.RecordHeaderError{Msg: "no record"}, "tls"},
		{tls.AlertError(40), "tls"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, "tls"},
		{&net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")}, "tls"},
		{tlsError{context.Canceled}, "client-gone"},
		{tlsError{context.DeadlineExceeded}, "timeout"},
		{tlsError{ErrEnded}, "cut-off"},
	} {
		if got := Failure(tc.err); got != tc.want {
			t.Errorf("%v is %q, want %q", tc.err, got, tc.want)
		}
	}
}
