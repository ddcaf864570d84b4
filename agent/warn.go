package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/proxy"
)

// warning is what the user must know although the run goes on.
type warning struct {
	code, text, hint string
	// shown says that the start page has it, too.
	shown bool
}

// warner tells the user, one after another and without making anybody wait for
// a terminal that nobody reads.
type warner struct {
	mu    sync.Mutex
	told  map[string]bool // those of which one is enough
	queue []func()
	idle  chan struct{} // closed when the queue is empty; nil if it is
}

// once says whether a warning has not been given yet.
func (w *warner) once(code string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told == nil {
		w.told = make(map[string]bool)
	}
	first := !w.told[code]
	w.told[code] = true
	return first
}

func (w *warner) tell(one func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, one)
	if w.idle == nil {
		w.idle = make(chan struct{})
		go w.tellAll()
	}
}

func (w *warner) tellAll() {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			close(w.idle)
			w.idle = nil
			w.mu.Unlock()
			return
		}
		one := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		one()
	}
}

// wait lets the warnings be written, if somebody reads them.
func (w *warner) wait() {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(200 * time.Millisecond):
	}
}

// warning tells programs, and the user if he does not see it elsewhere.
func (r *reporter) warning(w warning) {
	r.emit(event.Warning{Head: r.head(event.OfWarning, time.Now()), Code: w.code, Text: w.text, Hint: w.hint, N: 1})
	if r.cfg.Warn == nil || w.shown && r.out != nil {
		return
	}
	r.warn.tell(func() { r.cfg.Warn(w.text, w.hint) })
}

// warnOfTLS tells of the first flow of each mapping whose target could not be
// verified: that is a mistake in the mapping, more often than not.
func (r *reporter) warnOfTLS(f *proxy.Flow) {
	var unverified *tls.CertificateVerificationError
	if f.Entry != proxy.EntryMapping || !errors.As(f.Err, &unverified) {
		return
	}
	for _, m := range r.cfg.Mappings {
		if m.Target() != f.Host {
			continue
		}
		if r.warn.once("tls " + m.String()) {
			r.warning(warning{
				code: "tls",
				text: fmt.Sprintf("--proxy `%v`: %s; later ones are counted (tls)", m, refusal(unverified.Err)),
				hint: "name the target as its certificate does, or trust its authority: `--tls-ca /path/ca.pem`",
			})
		}
		return
	}
}

// refusal says why a certificate does not do.
func refusal(err error) string {
	var name x509.HostnameError
	if errors.As(err, &name) && len(name.Certificate.DNSNames) > 0 {
		// A server chooses its names, and people read them.
		names := lines.Shown(strings.Join(name.Certificate.DNSNames, ", "), shownHost)
		return fmt.Sprintf("the certificate is for %s, not %s", names, name.Host)
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}
