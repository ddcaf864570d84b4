package demo

import (
	"fmt"
	"net/http"
	"time"

	"github.com/faultproxy/fault/agent/lines"
)

// logged writes one line for each request that ends.
func (s *server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.RLock()
		defer s.inFlight.RUnlock()
		began := time.Now()
		noted := &statusNote{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noted, r)
		where := r.URL.Path
		if where == "" { // CONNECT has no path
			where = r.RequestURI
		}
		now := time.Now()
		s.out.Print(exchange{at: now, what: r.Method, where: where, status: noted.status, took: now.Sub(began)}.String())
	})
}

// statusNote remembers the status that went through it.
type statusNote struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status and passes it on.
func (n *statusNote) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// exchange is one line's worth of a request, ours or a client's.
type exchange struct {
	at     time.Time // when it ended
	what   string    // a method, or "asks" for a request of ours
	where  string
	status int // 0: no answer
	took   time.Duration
	err    error
}

// String is the line, with its end. Whatever comes from outside is made safe for a terminal and bounded.
func (e exchange) String() string {
	status := "-"
	if e.status != 0 {
		status = fmt.Sprint(e.status)
	}
	line := fmt.Sprintf("%s  %-4s  %-11s %-3s %5s ms", e.at.Format("15:04:05.000"),
		lines.Shown(e.what, 16), lines.Shown(e.where, 64), status, significant(e.took))
	if e.err != nil {
		line += "  " + lines.Shown(e.err.Error(), 200)
	}
	return line + "\n"
}

// significant is a duration in milliseconds; short ones get decimals, as 0 would say that nothing was measured.
func significant(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 1:
		return fmt.Sprintf("%.2f", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
