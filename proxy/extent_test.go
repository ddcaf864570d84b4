package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// spanOf says how many bytes of a text are the body of a request, coming in
// pieces of some size; -1 if it has no end there.
func spanOf(t *testing.T, e extent, text string, size int) int {
	t.Helper()
	for at := 0; ; {
		if e.ended() {
			return at
		}
		if at == len(text) {
			return -1
		}
		piece := text[at:min(at+size, len(text))]
		n, err := e.take([]byte(piece))
		at += n
		if err != nil {
			return -1
		}
		if n < len(piece) && !e.ended() {
			t.Fatalf("%d of %d bytes of %q were taken", n, len(piece), text)
		}
	}
}

func TestExtent(t *testing.T) {
	chunked, none := int64(-1), -1
	for _, tc := range []struct {
		length int64
		text   string
		want   int
	}{
		{0, "x", 0},
		{3, "abcx", 3},
		{3, "ab", none},
		{chunked, "0\r\n\r\nx", 5},
		{chunked, "3\r\nabc\r\n0\r\n\r\nx", 13},
		{chunked, "000F;a=\"b\"\r\n012345678901234\r\n00;\r\n\r\nx", 36},
		{chunked, "1f\r\n" + strings.Repeat("x", 31) + "\r\n0\r\n\r\n", 42},
		{chunked, "\r\n\r\n", none},
		{chunked, ";\r\n\r\n", none},
		{chunked, "a\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\nx", 30},
		{chunked, "3\r\n0\r\n\r\n0\r\n\r\n", 13},
		{chunked, "1 \t\r\nx\r\n0\r\n\r\n", 13},
		{chunked, "0\r\n", none},
		{chunked, "0\r\nX: y\r\n", none},
		{chunked, "3\r\nab", none},
		{chunked, "3\r\nabcd\r\n0\r\n\r\n", none},
		{chunked, "3\r\nabc\n0\r\n\r\n", none},
		{chunked, "3\nabc\r\n0\r\n\r\n", none},
		{chunked, "3\rabc\r\n0\r\n\r\n", none},
		{chunked, "0\r\nX: y\n\nx", none},
		{chunked, "0\r\n\r\r\n\r\nx", 8},
		{chunked, "\r\n", none},
		{chunked, ";\r\n", none},
		{chunked, "x\r\n", none},
		{chunked, "-1\r\n", none},
		{chunked, "ffffffffffffffff\r\nx\r\n0\r\n\r\n", none},
		{chunked, "fffffffffffffff\r\nx", none},
		{chunked, "0000000000000001\r\nx\r\n0\r\n\r\n", 26},
		{chunked, "00000000000000001\r\nx\r\n0\r\n\r\n", none},
		{chunked, "7fffffffffffffff\r\nx", none},
	} {
		for size := 1; size <= len(tc.text); size++ {
			if got := spanOf(t, extentOf(&http.Request{ContentLength: tc.length}), tc.text, size); got != tc.want {
				t.Errorf("%d of %q in pieces of %d, want %d", got, tc.text, size, tc.want)
			}
		}
	}
}

// FuzzExtent checks that chunked bodies end where net/http finds their end.
func FuzzExtent(f *testing.F) {
	for _, text := range []string{
		"0\r\n\r\nx", "3;x=\"y\"\r\nabc\r\n0\r\n\r\nx", "3\r\nabc\r\n0\r\nX: y\r\nX: z\r\n\r\nGET /", "0A \r\n0123456789\r\n0\r\n\r\n", "ffffffffffffffff\r\n",
	} {
		f.Add(text, 3)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		if strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n") {
			return // half a line end is malformed, and in trailers net/http minds only sometimes
		}
		const head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		src := strings.NewReader(head + text)
		br := bufio.NewReaderSize(src, 1<<16)
		request, err := http.ReadRequest(br)
		if err != nil {
			t.Fatal(err)
		}
		got := spanOf(t, extentOf(request), text, 1+max(0, size%100))
		_, err = io.Copy(io.Discard, request.Body)
		if want := len(text) - src.Len() - br.Buffered(); err == nil && got != want {
			t.Errorf("%q ends at %d, want %d", text, got, want)
		}
	})
}
