package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

func init() { roles["trailers"] = exchangeTrailers }

// exchangeTrailers sends a body with trailers behind it, and says which ones
// came back.
func exchangeTrailers(args []string) error {
	d := newDialer(args)
	web := d.web()
	q, err := http.NewRequest(http.MethodPost, serverURL+"/", io.MultiReader(strings.NewReader(noise(50_000))))
	if err != nil {
		return err
	}
	q.Header.Set("TE", "trailers")
	q.Trailer = http.Header{"X-Sum": {"42", "43"}, "X-Sent": {"all"}}
	p, err := web.Do(q)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, p.Body); err != nil {
		return err
	}
	web.CloseIdleConnections()
	return d.report(fmt.Sprint(p.Trailer))
}

// report writes what a client in Go has recorded and what it made of it.
func (d *dialer) report(results ...string) error {
	so, _ := d.conn.written()
	return json.NewEncoder(os.Stdout).Encode(clientEnd{so, results})
}

// trailers are those of a request, which the server returns as its own, and
// one that it had not announced.
func trailers(t *testing.T, l *line) exchange {
	server := l.serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Trailer {
			w.Header().Add("Trailer", "Re-"+name)
		}
		slices.Sort(w.Header()["Trailer"])
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, "it came")
		for name, values := range r.Trailer {
			w.Header()["Re-"+name] = values
		}
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "yes")
	})
	return holdRecorded(t, l, server, l.role(t, "trailers"))
}
