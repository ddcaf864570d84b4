package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// requests asks for Via, as of an HTTP proxy, on connections that are kept as
// long as the other side keeps them.
func requests(j Job) (Result, error) {
	to, err := sockaddr(j.To)
	if err != nil {
		return Result{}, err
	}
	request := fmt.Appendf(nil, "GET http://%s/ HTTP/1.1\r\nHost: %[1]s\r\n\r\n", j.Via)
	return j.workers(func() worker {
		return &requester{to: to, request: request, fd: -1, answer: make([]byte, 16<<10)}
	})
}

type requester struct {
	to      unix.Sockaddr
	request []byte
	fd      int // -1: there is no connection
	answer  []byte
}

func (r *requester) stop() {
	if r.fd >= 0 {
		unix.Close(r.fd)
	}
	r.fd = -1
}

func (r *requester) do() error {
	used := r.fd >= 0
	kept, err := r.ask()
	if err == errClosed && used {
		// It was not meant to be kept; the next is new.
		r.stop()
		kept, err = r.ask()
	}
	if err != nil || !kept {
		r.stop()
	}
	return err
}

// errClosed says that instead of an answer there was an end.
var errClosed = errors.New("closed without an answer")

func (r *requester) ask() (kept bool, err error) {
	if r.fd < 0 {
		if r.fd, err = dialTo(r.to); err != nil {
			return false, err
		}
	}
	if err := write(r.fd, r.request); err != nil {
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
			err = errClosed
		}
		return false, err
	}
	return r.read()
}

// read reads an answer, and says whether another request may follow.
func (r *requester) read() (kept bool, err error) {
	for n := 0; ; {
		if n == len(r.answer) {
			return false, errors.New("the answer is too long")
		}
		m, err := read(r.fd, r.answer[n:])
		n += m
		a, complete, parseErr := parseAnswer(r.answer[:n])
		switch {
		case parseErr != nil:
			return false, parseErr
		case complete:
			return a.kept, nil
		case n == 0 && (err == io.EOF || err == unix.ECONNRESET):
			return false, errClosed
		case err != nil:
			return false, err
		}
	}
}

// answer is what matters of an HTTP answer.
type answer struct {
	kept   bool // the connection
	length int  // of the body
}

// parseAnswer reads the beginning of an answer, which may be all of it. It takes
// what has a length, and a status of 200.
func parseAnswer(b []byte) (a answer, complete bool, err error) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return a, false, nil
	}
	status, fields, _ := bytes.Cut(head, []byte("\r\n"))
	version, code, _ := bytes.Cut(status, []byte(" "))
	if !bytes.HasPrefix(code, []byte("200")) {
		return a, false, fmt.Errorf("answered %q", status)
	}
	a = answer{kept: string(version) == "HTTP/1.1", length: -1}
	for field := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if a.length, err = strconv.Atoi(string(value)); err != nil {
				return a, false, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.kept = !bytes.EqualFold(value, []byte("close")) && (a.kept || bytes.EqualFold(value, []byte("keep-alive")))
		}
	}
	if a.length < 0 {
		return a, false, fmt.Errorf("the answer has no length: %q", head)
	}
	return a, len(body) >= a.length, nil
}
