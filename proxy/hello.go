package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// hello is what the first bytes of a client tell of the server that it means.
type hello struct {
	// by is how they name it, ByAmbiguous if they do not, and "" if more is to
	// come before that can be told.
	by MatchedBy
	// name is in lower case, without a dot at its end.
	name string
	// veiled says that it may be there to hide another: Encrypted Client Hello.
	veiled bool
	// rests says that the client may want to hear something before it goes on.
	rests bool
}

// helloLimit bounds the bytes that are looked at.
const helloLimit = 64 << 10

// readHello reads the first bytes of TLS, of HTTP/1 and of HTTP/2 with prior
// knowledge; there is at least one.
func readHello(b []byte) hello {
	const handshake = 0x16 // the type of the first record
	preface := []byte(http2.ClientPreface)
	var said hello
	switch n := min(len(b), len(preface)); {
	case b[0] == handshake:
		said = readClientHello(b)
	case bytes.Equal(b[:n], preface[:n]):
		said = readHTTP2(b[n:], n == len(preface))
	default:
		said = readRequestHead(b)
	}
	if said.by == "" && len(b) >= helloLimit {
		return hello{by: ByAmbiguous}
	}
	return said
}

// named is a name that was given; what is none tells nothing.
func named(by MatchedBy, name string) hello {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	const longest = 253
	known := name != "" && len(name) <= longest && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
	if _, err := netip.ParseAddr(name); err == nil || !known {
		return hello{by: ByAmbiguous}
	}
	return hello{by: by, name: name}
}

// readClientHello reads a message of TLS that may be split over records, and
// finds the server's name in it (SNI).
func readClientHello(b []byte) hello {
	const encryptedClientHello = 0xfe0d // the number of the extension
	said := hello{by: ByAmbiguous}
	in := &monologue{rest: b}
	server := tls.Server(in, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			in.more = false
			said = named(BySNI, info.ServerName)
			said.veiled = slices.Contains(info.Extensions, encryptedClientHello)
			return nil, errHeard
		},
	})
	_ = server.Handshake() // which ends there, or before
	if in.more {
		said.by = ""
	}
	return said
}

// errHeard ends a handshake of which no more is wanted.
var errHeard = errors.New("heard")

// monologue is a connection of which there are the first bytes that came, and
// to which nothing is written.
type monologue struct {
	net.Conn
	rest []byte
	more bool // than there are were asked for
}

func (m *monologue) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		m.more = true
		return 0, io.EOF
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func (m *monologue) Write(p []byte) (int, error) { return len(p), nil }

// readRequestHead finds the host in the head of a request of HTTP/1. One that
// asks for a whole URL asks a proxy, of whose own name it says nothing.
func readRequestHead(b []byte) hello {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	switch {
	case len(line) > lineLimit, whole && !isRequestLine(string(line)), !mayBeRequestLine(line):
		return hello{by: ByAmbiguous}
	case !bytes.Contains(b, []byte("\n\r\n")) && !bytes.Contains(b, []byte("\n\n")):
		return hello{}
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	switch {
	case err != nil, !strings.HasPrefix(request.RequestURI, "/") && request.RequestURI != "*":
		return hello{by: ByAmbiguous}
	}
	return named(ByHost, withoutPort(request.Host))
}

// withoutPort is the host of a host and, perhaps, a port.
func withoutPort(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// readHTTP2 finds the authority of the first request among the frames behind the
// preface. Some clients want the server's settings before they ask.
func readHTTP2(frames []byte, begun bool) hello {
	if !begun {
		return hello{}
	}
	const leastFrame, tableSize = 16 << 10, 4 << 10 // as long as nothing else was agreed on
	in := bytes.NewReader(frames)
	framer := http2.NewFramer(io.Discard, in)
	framer.SetMaxReadFrameSize(leastFrame)
	framer.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	framer.MaxHeaderListSize = helloLimit
	for in.Len() > 0 {
		frame, err := framer.ReadFrame()
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return hello{}
		case err != nil:
			return hello{by: ByAmbiguous}
		}
		if headers, ok := frame.(*http2.MetaHeadersFrame); ok {
			return readAuthority(headers)
		}
	}
	return hello{rests: true}
}

// readAuthority finds the host in the head of a request of HTTP/2.
func readAuthority(headers *http2.MetaHeadersFrame) hello {
	host := headers.PseudoValue("authority")
	for _, h := range headers.RegularFields() {
		if host == "" && h.Name == "host" {
			host = h.Value
		}
	}
	if headers.Truncated || headers.PseudoValue("method") == http.MethodConnect {
		return hello{by: ByAmbiguous}
	}
	return named(ByHost, withoutPort(host))
}
