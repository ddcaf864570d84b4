package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const helloWorld = "<h1>Hello, World!</h1>"

// routes leaves 404, and 405 with Allow, to ServeMux.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", hello)
	mux.HandleFunc("GET /ping", s.ping)
	mux.HandleFunc("GET /ping/myself", s.pingMyself)
	mux.HandleFunc("GET /multi", s.multi)
	mux.HandleFunc("POST /uppercase", uppercase)
	return mux
}

// timed is the JSON of the pages that ask other hosts.
type timed struct {
	Content  any    `json:"content"`
	Duration string `json:"duration"` // milliseconds
}

func hello(w http.ResponseWriter, _ *http.Request) { writeHTML(w, helloWorld) }

// ping asks the echo host and passes its JSON on.
func (s *server) ping(w http.ResponseWriter, r *http.Request) {
	got := s.fetch(r.Context(), s.echo)
	if got.err == nil && !json.Valid(got.body) {
		got.err = fmt.Errorf("get %s: answer is not JSON", withoutPassword(s.echo))
	}
	if got.err != nil {
		writeError(w, http.StatusBadGateway, got.err)
		return
	}
	writeJSON(w, http.StatusOK, timed{json.RawMessage(got.body), milliseconds(got.took)})
}

// pingMyself asks for the first page at our own address and passes it on.
func (s *server) pingMyself(w http.ResponseWriter, r *http.Request) {
	got := s.fetch(r.Context(), s.self+"/")
	if got.err != nil {
		http.Error(w, got.err.Error(), http.StatusBadGateway)
		return
	}
	writeHTML(w, string(got.body))
}

// multi asks two hosts at once. A line tells of each, the answer of the time that both took together.
func (s *server) multi(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	targets := []string{s.example, s.echo}
	failures := make(chan error, len(targets))
	for _, target := range targets {
		go func() {
			got := s.fetch(r.Context(), target)
			s.out.Print(exchange{
				at: time.Now(), what: "asks", where: withoutPassword(target),
				status: got.status, took: got.took, err: got.err,
			}.String())
			failures <- got.err
		}()
	}
	var failure error
	for range targets {
		if err := <-failures; failure == nil {
			failure = err
		}
	}
	if failure != nil {
		writeError(w, http.StatusBadGateway, failure)
		return
	}
	writeJSON(w, http.StatusOK, timed{"", milliseconds(time.Since(began))})
}

func writeHTML(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, text)
}

func writeError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{err.Error()})
}

// writeJSON ignores errors: the values always encode, and a client that is gone cannot be told.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(value)
}
