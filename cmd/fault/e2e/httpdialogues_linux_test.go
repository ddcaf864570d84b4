package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const serverURL = "http://192.0.2.10"

// noise is text that does not repeat soon.
func noise(n int) string {
	var text strings.Builder
	for i := 0; text.Len() < n; i++ {
		fmt.Fprintf(&text, "line %d\n", i*i)
	}
	return text.String()[:n]
}

// curls is a dialogue in which curl asks for one thing.
func curls(t *testing.T, l *line, handler http.HandlerFunc, args ...string) exchange {
	t.Helper()
	return hold(t, l, l.serveHTTP(t, handler), l.curl(t, args...))
}

// serverSentEvents sends each event when the client has the one before: one
// that is held back on the way is waited for in vain.
func serverSentEvents(t *testing.T, l *line) exchange {
	const events = 5
	arrived := make(chan struct{}, events)
	server := l.serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range events {
			fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", i, i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-arrived:
			case <-r.Context().Done():
				return
			}
		}
	})
	p := start(t, l.client, l.curl(t, "--no-buffer", serverURL+"/events"))
	for i := range events {
		p.says(t, fmt.Sprintf("data: event %d\n\n", i))
		arrived <- struct{}{}
	}
	return conclude(t, server, p)
}

// echoBody answers with what was sent.
func echoBody(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// uploadFile is what a client has to upload.
func uploadFile(t *testing.T) string {
	t.Helper()
	return writeFile(t, filepath.Join(sharedDir(t), "upload"), noise(300_000))
}

func chunkedUpload(t *testing.T, l *line) exchange {
	return curls(t, l, echoBody, "--upload-file", uploadFile(t), "-H", "Transfer-Encoding: chunked", "-H", "Expect:", serverURL+"/")
}

// continued is an upload for which the client waits until it is asked for.
func continued(t *testing.T, l *line) exchange {
	return curls(t, l, echoBody, "--upload-file", uploadFile(t), "-H", "Expect: 100-continue", serverURL+"/")
}

// notContinued is one that is refused, and whose body must not be sent.
func notContinued(t *testing.T, l *line) exchange {
	return curls(t, l, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not that", http.StatusForbidden)
	}, "--upload-file", uploadFile(t), "-H", "Expect: 100-continue", serverURL+"/")
}

func earlyHints(t *testing.T, l *line) exchange {
	return curls(t, l, func(w http.ResponseWriter, _ *http.Request) {
		for _, link := range []string{"</style.css>; rel=preload", "</script.js>; rel=preload"} {
			w.Header().Add("Link", link)
			w.WriteHeader(http.StatusEarlyHints)
		}
		fmt.Fprintln(w, "at last")
	}, serverURL+"/")
}

func manyCookies(t *testing.T, l *line) exchange {
	return curls(t, l, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprintf("c%d", i*37%100), Value: fmt.Sprint(i), Path: "/", HttpOnly: i%2 == 0})
		}
		fmt.Fprintln(w, "crumbs")
	}, serverURL+"/")
}

func redirect(t *testing.T, l *line) exchange {
	return curls(t, l, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.example:8080/a%2Fb?c=d#e", http.StatusFound)
	}, serverURL+"/a//b/../c?d=e%20f")
}

// redirectFollowed sends a body again, to where the server now wants it.
func redirectFollowed(t *testing.T, l *line) exchange {
	return curls(t, l, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Location", "there")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		echoBody(w, r)
	}, "--location", "--data", "a=b&c=d", serverURL+"/here")
}

func notModified(t *testing.T, l *line) exchange {
	return curls(t, l, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", r.Header.Get("If-None-Match"))
		w.WriteHeader(http.StatusNotModified)
	}, "-H", `If-None-Match: "v1"`, serverURL+"/")
}

// compressed is a body in gzip, which nobody on the way is to unpack.
func compressed(header string) func(t *testing.T, l *line) exchange {
	return func(t *testing.T, l *line) exchange {
		return curls(t, l, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "text/plain")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, noise(100_000))
			_ = z.Close()
		}, "-H", header, serverURL+"/")
	}
}
