package proxy

import (
	"errors"
	"net/http"
)

// extent finds the end of a body in what comes. net/http would, too, but not
// without holding a chunk until it is whole.
type extent struct {
	left   int64 // bytes of the body, or of a chunk, that are still to come
	at     part
	size   int64 // of a chunk, so far
	digits int   // of that
	blank  int   // how much of the end of the trailer has come
}

// part is what comes when nothing is left.
type part uint8

const (
	atEnd     part = iota // nothing
	inSize                // the size of a chunk
	inRest                // what comes behind it on its line
	inLineEnd             // the last byte of that
	atReturn              // the end of a chunk,
	atNewline             // in two bytes
	inTrailer             // what ends with an empty line
)

const trailerEnd = "\r\n\r\n"

var errChunk = errors.New("a malformed chunk")

// extentOf gives that of a request's body.
func extentOf(r *http.Request) extent {
	if r.ContentLength < 0 {
		return extent{at: inSize}
	}
	return extent{left: r.ContentLength}
}

// ended says that all has come.
func (e *extent) ended() bool { return e.left == 0 && e.at == atEnd }

// take says how many bytes belong to the body, of those that come next.
func (e *extent) take(b []byte) (n int, err error) {
	for n < len(b) && !e.ended() {
		if e.left > 0 {
			whole := int(min(e.left, int64(len(b)-n)))
			e.left -= int64(whole)
			n += whole
			continue
		}
		if !e.next(b[n]) {
			return n, errChunk
		}
		n++
	}
	return n, nil
}

// next takes a byte of what is around the chunks.
func (e *extent) next(c byte) bool {
	switch e.at {
	case inSize:
		if v := hex(c); v >= 0 && e.digits < 16 && e.size < 1<<59 {
			e.size = e.size<<4 | int64(v)
			e.digits++
			return true
		}
		e.at = inRest
		return e.digits > 0 && hex(c) < 0 && e.next(c)
	case inRest:
		if c == '\r' {
			e.at = inLineEnd
		}
		return c != '\n'
	case inLineEnd:
		if e.left, e.at = e.size, atReturn; e.size == 0 {
			e.at, e.blank = inTrailer, 2
		}
		return c == '\n'
	case atReturn:
		e.at = atNewline
		return c == '\r'
	case atNewline:
		*e = extent{at: inSize}
		return c == '\n'
	case inTrailer:
		switch {
		case c == trailerEnd[e.blank]:
			e.blank++
		case c == '\r':
			e.blank = 1
		default:
			e.blank = 0
		}
		if e.blank == len(trailerEnd) {
			e.at = atEnd
		}
	}
	return true
}

// hex is the value of a digit, -1 if c is none.
func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
