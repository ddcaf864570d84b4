package proxy

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// clientHelloOf is the first bytes of a client of TLS: one whose keys for
// post-quantum cryptography make them long.
func clientHelloOf(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	config.InsecureSkipVerify = true
	var first recording
	if err := tls.Client(&first, config).Handshake(); err != io.EOF {
		t.Fatal(err)
	}
	return first.Bytes()
}

// recording is a connection that keeps what is written to it, and gives nothing.
type recording struct {
	net.Conn
	bytes.Buffer
}

func (r *recording) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recording) Write(p []byte) (int, error) { return r.Buffer.Write(p) }
func (r *recording) Close() error                { return nil }

// split puts a record of TLS into records of some bytes each.
func split(record []byte, size int) []byte {
	const header = 5
	var all []byte
	for piece := range slices.Chunk(record[header:], size) {
		all = append(all, record[:3]...)
		all = binary.BigEndian.AppendUint16(all, uint16(len(piece)))
		all = append(all, piece...)
	}
	return all
}

// http2Of is the first bytes of a client of HTTP/2 that asks for something, with
// a header table in which nothing is yet.
func http2Of(t testing.TB, split bool, fields ...string) []byte {
	t.Helper()
	var b, block bytes.Buffer
	b.WriteString(http2.ClientPreface)
	framer, encoder := http2.NewFramer(&b, nil), hpack.NewEncoder(&block)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		if err := encoder.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	first := block.Len()
	if split {
		first /= 2
	}
	errs := []error{framer.WriteSettings(), framer.WriteWindowUpdate(0, 1<<20)}
	if len(fields) > 0 {
		errs = append(errs, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()[:first], EndHeaders: !split}))
	}
	if split {
		errs = append(errs, framer.WriteContinuation(1, true, block.Bytes()[first:]))
	}
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// veiledHello is what a client says that hides a name behind another.
func veiledHello(t testing.TB) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const name = "public.test"
	contents := slices.Concat(
		[]byte{1, 0, 0x20, 0, 32}, key.PublicKey().Bytes(), // DHKEM(X25519, HKDF-SHA256)
		[]byte{0, 4, 0, 1, 0, 1, 32, byte(len(name))}, []byte(name), []byte{0, 0})
	config := slices.Concat([]byte{0xfe, 0x0d, 0, byte(len(contents))}, contents)
	list := slices.Concat([]byte{0, byte(len(config))}, config)
	return clientHelloOf(t, &tls.Config{ServerName: "hidden.test", EncryptedClientHelloConfigList: list})
}

// greetings are what clients begin with, and what that tells.
func greetings(t testing.TB) map[string]struct {
	bytes []byte
	by    MatchedBy
	name  string
} {
	const get = "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"
	long := clientHelloOf(t, &tls.Config{ServerName: "api.test", NextProtos: slices.Repeat([]string{strings.Repeat("p", 250)}, 120)})
	alert := []byte{21, 3, 3, 0, 2, 2, 40}
	type greeting = struct {
		bytes []byte
		by    MatchedBy
		name  string
	}
	return map[string]greeting{
		"TLS":                 {clientHelloOf(t, &tls.Config{ServerName: "Api.test"}), BySNI, "api.test"},
		"TLS 1.2":             {clientHelloOf(t, &tls.Config{ServerName: "api.test", MaxVersion: tls.VersionTLS12}), BySNI, "api.test"},
		"TLS without a name":  {clientHelloOf(t, &tls.Config{}), ByAmbiguous, ""},
		"TLS, an address":     {clientHelloOf(t, &tls.Config{ServerName: "192.0.2.1"}), ByAmbiguous, ""},
		"TLS, long":           {long, BySNI, "api.test"},
		"TLS, veiled":         {veiledHello(t), BySNI, "public.test"},
		"TLS in records":      {split(clientHelloOf(t, &tls.Config{ServerName: "api.test"}), 100), BySNI, "api.test"},
		"TLS in many records": {split(clientHelloOf(t, &tls.Config{ServerName: "api.test"}), 1), BySNI, "api.test"},
		"an alert":            {append(alert, alert...), ByAmbiguous, ""},
		"another record":      {[]byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, ByAmbiguous, ""},
		"a record too long":   {[]byte{22, 3, 1, 0xff, 0xff, 1, 0, 0, 0}, ByAmbiguous, ""},
		"a hello too long":    {[]byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, ByAmbiguous, ""},
		"SSLRequest":          {[]byte{0, 0, 0, 8, 4, 210, 22, 47}, ByAmbiguous, ""},
		"SSH":                 {[]byte("SSH-2.0-OpenSSH_9.2p1\r\n"), ByAmbiguous, ""},
		"SMTP":                {[]byte("EHLO api.test\r\n"), ByAmbiguous, ""},
		"Redis":               {[]byte("*1\r\n$4\r\nPING\r\n"), ByAmbiguous, ""},
		"HTTP":                {[]byte(get), ByHost, "api.test"},
		"HTTP with a port":    {[]byte("POST /x HTTP/1.0\r\nA: b\r\nhost: API.test.:8080\r\nContent-Length: 9\r\n\r\nunfinished"), ByHost, "api.test"},
		"HTTP, an address":    {[]byte("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"), ByAmbiguous, ""},
		"HTTP, IPv4":          {[]byte("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"), ByAmbiguous, ""},
		"HTTP, no host":       {[]byte("GET / HTTP/1.0\r\n\r\n"), ByAmbiguous, ""},
		"HTTP, two hosts":     {[]byte("GET / HTTP/1.1\r\nHost: api.test\r\nHost: www.test\r\n\r\n"), ByAmbiguous, ""},
		"HTTP, no name":       {[]byte("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), ByAmbiguous, ""},
		"HTTP, a terminal's":  {[]byte("GET / HTTP/1.1\r\nHost: \x1b[31mapi.test\r\n\r\n"), ByAmbiguous, ""},
		"HTTP of a proxy":     {[]byte("GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n"), ByAmbiguous, ""},
		"CONNECT":             {[]byte("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n"), ByAmbiguous, ""},
		"OPTIONS *":           {[]byte("OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n"), ByHost, "api.test"},
		"HTTP, malformed":     {[]byte("GET / HTTP/1.1\r\nHost api.test\r\n\r\n"), ByAmbiguous, ""},
		"HTTP/2":              {http2Of(t, false, ":method=GET", ":scheme=http", ":path=/", ":authority=api.test:80"), ByHost, "api.test"},
		"HTTP/2, continued":   {http2Of(t, true, ":method=GET", ":scheme=http", ":path=/", ":authority=api.test"), ByHost, "api.test"},
		"HTTP/2, host":        {http2Of(t, false, ":method=GET", ":scheme=http", ":path=/", "host=api.test"), ByHost, "api.test"},
		"HTTP/2, neither":     {http2Of(t, false, ":method=GET", ":scheme=http", ":path=/"), ByAmbiguous, ""},
		"HTTP/2, CONNECT":     {http2Of(t, false, ":method=CONNECT", ":authority=api.test:80"), ByAmbiguous, ""},
		"HTTP/2, malformed":   {append(http2Of(t, false), 0, 0, 1, 1, 4, 0, 0, 0, 0, 0xff), ByAmbiguous, ""},
	}
}

func TestHello(t *testing.T) {
	for name, tc := range greetings(t) {
		t.Run(name, func(t *testing.T) {
			said := readHello(tc.bytes)
			if said.by != tc.by || said.name != tc.name || said.veiled != (name == "TLS, veiled") {
				t.Errorf("%+v, want %s %q", said, tc.by, tc.name)
			}
			if tc.name == "" {
				return
			}
			// Of what is cut short nothing is told before it can be.
			step := max(1, len(tc.bytes)/300)
			whole := len(tc.bytes) - len("unfinished")
			for n := 1; n < whole; n += step {
				if said := readHello(tc.bytes[:n]); said.by != "" && (said.by != tc.by || said.name != tc.name) {
					t.Fatalf("%d of %d bytes: %+v", n, len(tc.bytes), said)
				}
			}
			if said := readHello(tc.bytes[:whole/2]); said.by != "" {
				t.Errorf("half of it: %+v", said)
			}
			if said := readHello(append(tc.bytes[:len(tc.bytes):len(tc.bytes)], "and more"...)); said.by != tc.by {
				t.Errorf("with more behind: %+v", said)
			}
		})
	}
}

// TestHelloRests is a client that has asked for nothing yet, and may want to
// hear the server's settings.
func TestHelloRests(t *testing.T) {
	b := http2Of(t, false)
	for n := len(http2.ClientPreface); n <= len(b); n++ {
		said := readHello(b[:n])
		boundary := n == len(http2.ClientPreface) || n == len(http2.ClientPreface)+9 || n == len(b)
		if said.by != "" || said.rests != boundary {
			t.Errorf("%d of %d bytes: %+v", n, len(b), said)
		}
	}
}

// TestHelloIsBounded holds that what never comes to a name is ambiguous.
func TestHelloIsBounded(t *testing.T) {
	long := strings.Repeat("x", helloLimit)
	for name, b := range map[string][]byte{
		"a head":          []byte("GET / HTTP/1.1\r\nCookie: " + long),
		"a line":          []byte("GET /" + long),
		"a method":        []byte(strings.Repeat("M", 100)),
		"a hello":         slices.Concat([]byte{22, 3, 1, 0x40, 0}, []byte{1, 0, 0xff, 0xff}, bytes.Repeat([]byte{0}, 1<<14-4), slices.Repeat(append([]byte{22, 3, 1, 0x20, 0}, make([]byte, 1<<13)...), 7)),
		"empty records":   slices.Repeat([]byte{22, 3, 1, 0, 0}, 100),
		"HTTP/2 frames":   append(http2Of(t, false), slices.Repeat([]byte{0, 0, 0, 4, 1, 0, 0, 0, 0}, helloLimit/9)...),
		"a frame":         append(http2Of(t, false), 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0),
		"many small hdrs": http2Of(t, true, slices.Repeat([]string{"x=" + strings.Repeat("y", 5000)}, 20)...),
	} {
		if len(b) > helloLimit {
			b = b[:helloLimit]
		}
		if said := readHello(b); said.by != ByAmbiguous {
			t.Errorf("%s: %+v", name, said)
		}
	}
}

func FuzzHello(f *testing.F) {
	for _, g := range greetings(f) {
		if len(g.bytes) < 4<<10 { // what is longer takes all the time to be made shorter
			f.Add(g.bytes)
			f.Add(g.bytes[:len(g.bytes)/2])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > helloLimit {
			return
		}
		said := readHello(b)
		switch said.by {
		case BySNI, ByHost:
			if again := named(said.by, said.name); again.name != said.name || said.name == "" {
				t.Fatalf("the name is %q", said.name)
			}
		case ByAmbiguous, "":
			if said.name != "" {
				t.Fatalf("%+v", said)
			}
		default:
			t.Fatalf("%+v", said)
		}
		// What was told does not change with what comes later.
		if more := readHello(append(bytes.Clone(b), "\r\n\r\n"...)); said.by != "" && fmt.Sprint(more) != fmt.Sprint(said) {
			t.Fatalf("%+v, and with more behind %+v", said, more)
		}
	})
}
