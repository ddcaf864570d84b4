package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
)

// message is a request or a response as its receiver understands it, however
// its head was spelled and its body cut.
type message struct {
	Line     string // what the head begins with
	Host     string
	Header   http.Header
	Encoding []string
	Length   int64
	Body     string
	Short    bool // the body broke off
	// Promised are the names of trailers that the head announces.
	Promised []string
	Trailer  http.Header
}

// heard is what one end of a connection understood.
type heard struct {
	Messages []message
	Rest     string // behind a switch of protocols
}

// readRequests reads what a server got.
func readRequests(t *testing.T, got []byte) heard {
	t.Helper()
	var h heard
	for r := bufio.NewReader(bytes.NewReader(got)); more(r); {
		q, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("%v in %.1000q", err, got)
		}
		m := message{
			Line: q.Method + " " + q.RequestURI + " " + q.Proto, Host: q.Host, Header: q.Header,
			Encoding: q.TransferEncoding, Length: q.ContentLength,
		}
		m.Promised = slices.Sorted(maps.Keys(q.Trailer))
		m.Body, m.Short = readText(t, q.Body)
		m.Trailer = q.Trailer // which came behind the body
		h.Messages = append(h.Messages, m)
		if q.Header.Get("Upgrade") != "" {
			h.Rest, _ = readText(t, r)
		}
	}
	return h
}

// readResponses reads what a client got, with what came before its answer.
func readResponses(t *testing.T, got []byte) heard {
	t.Helper()
	var h heard
	for r := bufio.NewReader(bytes.NewReader(got)); more(r); {
		p, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%v in %.1000q", err, got)
		}
		m := message{
			Line: p.Proto + " " + p.Status, Header: p.Header,
			Encoding: p.TransferEncoding, Length: p.ContentLength,
		}
		m.Promised = slices.Sorted(maps.Keys(p.Trailer))
		m.Body, m.Short = readText(t, p.Body)
		m.Trailer = p.Trailer
		h.Messages = append(h.Messages, m)
		if p.StatusCode == http.StatusSwitchingProtocols {
			h.Rest, _ = readText(t, r)
		}
	}
	return h
}

func more(r *bufio.Reader) bool {
	_, err := r.Peek(1)
	return err == nil
}

func readText(t *testing.T, r io.Reader) (text string, short bool) {
	t.Helper()
	all, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return string(all), err != nil
}
