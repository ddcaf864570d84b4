package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// path is a way by which curl's connections get to the faults.
type path struct {
	name string
	args []string // for curl
}

// mappings are what an agent needs for the last of the paths.
func (m *measurer) mappings() []string {
	return []string{"--proxy", fmt.Sprintf("127.0.0.1:9080=%v", m.plain), "--proxy", fmt.Sprintf("127.0.0.1:9443=%v", m.secure)}
}

// paths are all of an agent that runs with them.
func (a *agent) paths(m *measurer) []path {
	return []path{
		{"intercepted", nil},
		{"CONNECT", []string{"--proxytunnel", "--proxy", "http://" + a.proxy}},
		{"forward", []string{"--proxy", "http://" + a.proxy}},
		{"mapping", []string{
			"--connect-to", fmt.Sprintf("%v:127.0.0.1:9080", m.plain), "--connect-to", fmt.Sprintf("%v:127.0.0.1:9443", m.secure),
		}},
	}
}

// measurer is a web server for bodies of any size.
type measurer struct {
	plain, secure netip.AddrPort
	ca            string
	accepted      atomic.Int64 // connections
	requests      atomic.Int64
}

func (h *host) serveMeasurer(t *testing.T) *measurer {
	t.Helper()
	dir := sharedDir(t)
	certify(t, dir, h.v4, h.v6)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	m := &measurer{ca: filepath.Join(dir, "ca.pem")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bytes/{n}", sendBytes)
	mux.HandleFunc("PUT /", countBody)
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	web := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.requests.Add(1)
			mux.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				m.accepted.Add(1)
			}
		},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}},
	}
	plain, secure := h.listen(t, net.JoinHostPort(h.v4.String(), "0")), h.listen(t, net.JoinHostPort(h.v4.String(), "0"))
	m.plain, m.secure = netip.MustParseAddrPort(plain.Addr().String()), netip.MustParseAddrPort(secure.Addr().String())
	go func() { _ = web.Serve(plain) }()
	go func() { _ = web.ServeTLS(secure, "", "") }()
	t.Cleanup(func() { web.Close() })
	return m
}

func (m *measurer) url(scheme, path string) string {
	if scheme == "https" {
		return fmt.Sprintf("https://%v/%s", m.secure, path)
	}
	return fmt.Sprintf("http://%v/%s", m.plain, path)
}

// sendBytes answers with as many bytes as the path says.
func sendBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	_, _ = io.CopyN(w, zeros{}, n)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// countBody answers, when a body is there, how many bytes it had.
func countBody(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, n)
}

// download gives the bytes a second that curl got from the first on.
func (m *measurer) download(t *testing.T, h *host, by path, scheme string, size int64) float64 {
	t.Helper()
	said := m.curl(t, h, by, "-o", os.DevNull, "-w", "%{size_download} %{time_total} %{time_starttransfer}",
		m.url(scheme, fmt.Sprintf("bytes/%d", size)))
	var got int64
	var total, first float64
	if _, err := fmt.Sscan(said, &got, &total, &first); err != nil || got != size {
		t.Fatalf("curl said %q: %v", said, err)
	}
	return float64(size) / (total - first)
}

// upload gives the bytes a second from the first on until the server had all.
func (m *measurer) upload(t *testing.T, h *host, by path, scheme string, file string, size int64) float64 {
	t.Helper()
	said := m.curl(t, h, by, "-T", file, "-H", "Expect:", "-w", " %{time_total} %{time_pretransfer}", m.url(scheme, "upload"))
	var got int64
	var total, before float64
	if _, err := fmt.Sscan(said, &got, &total, &before); err != nil || got != size {
		t.Fatalf("curl and the server said %q: %v", said, err)
	}
	return float64(size) / (total - before)
}

// curl runs curl by a path.
func (m *measurer) curl(t *testing.T, h *host, by path, args ...string) string {
	t.Helper()
	args = append(append([]string{"-sS", "--max-time", "60", "--cacert", m.ca}, by.args...), args...)
	return strings.TrimSpace(answer(t, h, program(t, "curl", args...)))
}
