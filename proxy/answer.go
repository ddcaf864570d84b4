package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// answerHeader is the header of an injected response.
func answerHeader(response *faults.HTTPResponse) http.Header {
	h := make(http.Header)
	if bodiless(response.Status) {
		return h
	}
	h.Set("Content-Length", strconv.Itoa(len(response.Body)))
	if response.Body != "" {
		h.Set("Content-Type", contentType(response.Body))
	}
	return h
}

func contentType(body string) string {
	if json.Valid([]byte(body)) {
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// hasBody says whether an answer to a request has one.
func hasBody(response *faults.HTTPResponse, request *http.Request) bool {
	return request.Method != http.MethodHead && !bodiless(response.Status)
}

// bodiless says whether responses of a status never have a body.
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// isLast says whether no request can follow one that is answered: because the
// client says so, or because what it still has to send is not worth reading, may
// not come at all, or is no request any more.
func isLast(r *http.Request) bool {
	return r.Close || r.ContentLength < 0 || r.ContentLength > bodyLimit ||
		r.Header.Get("Expect") != "" || r.Method == http.MethodConnect
}

// render writes an injected response; the last one says that it is.
func render(response *faults.HTTPResponse, request *http.Request, last bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", response.Status, http.StatusText(response.Status))
	h := answerHeader(response)
	switch {
	case last:
		h.Set("Connection", "close")
	case !request.ProtoAtLeast(1, 1):
		h.Set("Connection", "keep-alive")
	}
	_ = h.Write(&b) // to memory
	b.WriteString("\r\n")
	if hasBody(response, request) {
		b.WriteString(response.Body)
	}
	return b.Bytes()
}

// answer answers a request of the forward proxy instead of the server, through
// what delays responses.
func (fw *forwarded) answer(response *faults.HTTPResponse, request *http.Request) error {
	fw.flow.EndedBy = EndFault
	header := fw.w.Header()
	for name, values := range answerHeader(response) {
		header[name] = values
	}
	if !isLast(request) {
		_, err := io.Copy(io.Discard, request.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // who has broken off may still listen
			return context.Canceled
		}
		return fw.send(response, request)
	}
	header.Set("Connection", "close")
	linger := fw.discard(request)
	err := fw.send(response, request)
	linger(err)
	return err
}

// send writes an injected response.
func (fw *forwarded) send(response *faults.HTTPResponse, request *http.Request) error {
	body := ""
	if hasBody(response, request) {
		body = response.Body
	}
	fw.down.from(strings.NewReader(body))
	if err := fw.down.head(headSize(fw.w.Header()), true); err != nil {
		return err
	}
	fw.flow.Answered, fw.flow.Status = response.Status, response.Status
	fw.w.WriteHeader(response.Status)
	_, err := io.Copy(fw.w, &fw.down)
	return err
}

// discard reads what the client still sends of a request, so that it gets to
// reading the answer. When that is sent, linger gives it some time.
func (fw *forwarded) discard(request *http.Request) (linger func(error)) {
	control := http.NewResponseController(fw.w)
	_ = control.EnableFullDuplex()
	var reading sync.WaitGroup
	if request.Header.Get("Expect") == "" { // otherwise reading would ask for the body
		reading.Go(func() {
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				fw.cancel() // the client has left
			}
		})
	}
	return func(err error) {
		end := time.Now()
		if err == nil {
			_ = control.Flush()
			_ = clientOf(request).CloseWrite()
			end = end.Add(lingerTime)
		}
		_ = control.SetReadDeadline(end)
		reading.Wait()
	}
}
