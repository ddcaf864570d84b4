package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// answerLimit bounds in bytes what is read of an answer: whatever stands at the other end cannot fill our memory.
const answerLimit = 1 << 20

// newClient returns the client of all outgoing requests. Each gets a connection of its own, and HTTP/1, so that a fault
// at the start of a connection shows in each of them.
func newClient(via *proxies) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:             via.pick,
			DisableKeepAlives: true,
			Protocols:         &protocols,
		},
	}
}

// answer is what came of one outgoing request.
type answer struct {
	status int // 0: none came
	body   []byte
	took   time.Duration // up to the end of the body
	err    error         // nil: a whole 200
}

// milliseconds is the duration as the pages show it.
func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// fetch asks target. Its err says `get TARGET: cause`, and anything but 200 is one: a page that called an injected 503 a
// success would hide the fault.
func (s *server) fetch(ctx context.Context, target string) answer {
	began := time.Now()
	status, body, err := s.get(ctx, target)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		err = fmt.Errorf("get %s: %w", withoutPassword(target), err)
	}
	return answer{status: status, body: body, took: time.Since(began), err: err}
}

func (s *server) get(ctx context.Context, target string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, bareURLCause(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, bareURLCause(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, answerLimit+1))
	if err == nil && len(body) > answerLimit {
		err = fmt.Errorf("answer exceeds %d bytes", answerLimit)
	}
	return resp.StatusCode, body, err
}

// bareURLCause takes off the method and the URL: fetch says them once.
func bareURLCause(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

func withoutPassword(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "an unusable URL"
	}
	return u.Redacted()
}
