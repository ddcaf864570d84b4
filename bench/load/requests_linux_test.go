package load

import "testing"

func TestParseAnswer(t *testing.T) {
	for _, c := range []struct {
		text           string
		kept, complete bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", true, false},
		{"HTTP/1.1 200 OK\r\nContent-Le", false, false},
		{"HTTP/1.1 200\r\ncontent-length:0\r\nconnection: Close\r\n\r\n", false, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true, true},
	} {
		a, complete, err := parseAnswer([]byte(c.text))
		if err != nil || a.kept != c.kept || complete != c.complete {
			t.Errorf("%q: kept %v, complete %v, %v", c.text, a.kept, complete, err)
		}
	}
	for _, text := range []string{
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
	} {
		if a, _, err := parseAnswer([]byte(text)); err == nil {
			t.Errorf("%q is taken for %v", text, a)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, complete, err := parseAnswer(text)
		if err != nil {
			return
		}
		if complete && (a.length < 0 || a.length > len(text)) {
			t.Errorf("%q is complete with %d bytes", text, a.length)
		}
	})
}
