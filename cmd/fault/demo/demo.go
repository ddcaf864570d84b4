// Package demo is the small web server of `fault demo run`: something to aim faults at, on any machine.
//
// Some of its pages answer at once and show what a fault does to the way in; others fetch from elsewhere, through the
// proxy that the environment names, and show what a fault does to the way out.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/faultproxy/fault/agent/lines"
)

const (
	defaultHost       = "127.0.0.1"
	defaultEchoURL    = "https://postman-echo.com/get"
	defaultExampleURL = "https://www.example.com/"

	// requestGrace is what requests in flight get once the demo is asked to end.
	requestGrace = time.Second
	// outputGrace is what a slow Out gets at the end. A terminal that nobody reads must not hold the process.
	outputGrace = 300 * time.Millisecond
)

// Config is all that Run depends on. Its zero value serves on a free port of 127.0.0.1, in silence.
type Config struct {
	// Host is the address or host name to listen on; empty means 127.0.0.1. A name with addresses of both families
	// means its IPv4 one.
	Host string
	// Port is the TCP port to listen on; 0 takes a free one.
	Port uint16

	// Opened is called once the port is open, before anybody is answered; nil is nothing to do.
	Opened func()

	// Out receives the page and one line for each request, from one goroutine and never on the path of an answer.
	// Once it returns an error nothing more is written to it. Nil means nowhere.
	Out io.Writer

	// EchoURL answers GET with JSON; empty means https://postman-echo.com/get.
	EchoURL string
	// ExampleURL answers GET with anything; empty means https://www.example.com/.
	ExampleURL string

	// Getenv looks up HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or else the same in lower case; see proxies for what they
	// may hold. Nil means an empty environment.
	Getenv func(string) string
}

// Run serves until ctx ends, then gives requests in flight up to a second and returns nil.
//
// Nothing is opened when the environment names an unusable proxy: the error is then a *ProxyError. An address that
// cannot be had is an error too, and it wraps the system's (errors.Is with syscall.EADDRINUSE). When Run returns, its
// port is free again, its requests have ended, and Out is written to no more, unless Out itself blocks.
func Run(ctx context.Context, cfg Config) error {
	cfg = withDefaults(cfg)
	via, err := readProxies(cfg.Getenv)
	if err != nil {
		return err
	}
	ln, err := listen(ctx, cfg.Host, cfg.Port)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if cfg.Opened != nil {
		cfg.Opened()
	}
	bound := ln.Addr().(*net.TCPAddr).AddrPort()
	s := &server{
		echo:    cfg.EchoURL,
		example: cfg.ExampleURL,
		self:    webURL(reachable(bound)),
		client:  newClient(via),
		out:     lines.NewWriter(cfg.Out),
	}
	s.out.Print(page(bound))
	err = s.serve(ctx, ln)
	s.out.Close(outputGrace)
	return err
}

func withDefaults(cfg Config) Config {
	if cfg.Host == "" {
		cfg.Host = defaultHost
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.EchoURL == "" {
		cfg.EchoURL = defaultEchoURL
	}
	if cfg.ExampleURL == "" {
		cfg.ExampleURL = defaultExampleURL
	}
	if cfg.Getenv == nil {
		cfg.Getenv = func(string) string { return "" }
	}
	return cfg
}

// server answers the pages of one Run.
type server struct {
	echo, example, self string

	client *http.Client
	out    *lines.Writer

	// inFlight is held for reading by each request. A WaitGroup will not do: a request may still begin while the
	// end waits for the others.
	inFlight sync.RWMutex
}

// serve answers connections of ln until ctx ends, and returns once every request has. It closes ln.
func (s *server) serve(ctx context.Context, ln net.Listener) error {
	requests, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	srv := &http.Server{
		Handler:     s.logged(s.routes()),
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    log.New(io.Discard, "", 0),
		// Only the header is timed: a body or an answer may be slow, faults are here to make them so.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// Off, so that `OPTIONS *` gets its line like any other request.
		DisableGeneralOptionsHandler: true,
	}
	var ended error
	served := make(chan struct{})
	go func() {
		defer close(served)
		ended = srv.Serve(ln)
	}()
	select {
	case <-ctx.Done():
	case <-served:
	}
	grace, cancel := context.WithTimeout(requests, requestGrace)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		cutOff()
		srv.Close()
	}
	<-served
	// Until their handlers return, the requests that were cut off have neither ended nor written their line.
	s.inFlight.Lock()
	defer s.inFlight.Unlock()
	if !errors.Is(ended, http.ErrServerClosed) {
		return fmt.Errorf("accept on %s: %w", ln.Addr(), bareCause(ended))
	}
	return nil
}

// page is what a person reads first. It names the address as bound, and examples that work on this host.
func page(bound netip.AddrPort) string {
	return fmt.Sprintf(`demo on %s   Ctrl-C ends it
  GET /           a page                    GET /ping         asks a remote host
  GET /multi      asks two hosts            GET /ping/myself  asks this server
  POST /uppercase {"content": "text"}
try   curl -w '%%{time_total} s\n' %s/
slow  the same with -x http://127.0.0.1:3180 while `+"`fault run`"+` is up

`, webURL(bound), webURL(reachable(bound)))
}
