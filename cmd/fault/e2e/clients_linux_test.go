package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client does one thing on a connection of its own, with the server at an
// address. It says how long that took, and whom the program saw as its peer;
// "-" if it cannot tell.
type client func(t *testing.T, to netip.Addr) (took time.Duration, peer string)

// curl asks for the page.
func curl(h *host, scheme, ca string) client {
	return func(t *testing.T, to netip.Addr) (time.Duration, string) {
		said := strings.Fields(answer(t, h, program(t, "curl", "-sS", "--max-time", "20", "--cacert", ca,
			"-w", "\n%{time_total} %{remote_ip}", pageURL(scheme, to))))
		if len(said) != 3 || said[0] != page {
			t.Fatalf("curl said %q", said)
		}
		seconds, err := strconv.ParseFloat(said[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(seconds * float64(time.Second)), said[2]
	}
}

func pageURL(scheme string, to netip.Addr) string {
	host := to.String()
	if to.Is6() {
		host = "[" + host + "]"
	}
	return scheme + "://" + host + "/"
}

// psql asks PostgreSQL for its address, and then says whom it asked.
func psql(h *host) client {
	return func(t *testing.T, to netip.Addr) (time.Duration, string) {
		began := time.Now()
		said := answer(t, h, program(t, "psql", "-XAtq", "-h", to.String(), "-U", "postgres",
			"-c", `select host(inet_server_addr())`, "-c", `\conninfo`))
		took := time.Since(began)
		server, info, _ := strings.Cut(said, "\n")
		if server != to.String() || !strings.Contains(info, to.String()) {
			t.Fatalf("psql said %q", said)
		}
		return took, server
	}
}

// redisCLI sends a PING.
func redisCLI(h *host) client {
	return func(t *testing.T, to netip.Addr) (time.Duration, string) {
		began := time.Now()
		said := answer(t, h, program(t, "redis-cli", "-h", to.String(), "PING"))
		if said != "PONG" {
			t.Fatalf("redis-cli said %q", said)
		}
		return time.Since(began), "-"
	}
}

var (
	//go:embed testdata/client.py
	clientPython string
	//go:embed testdata/client.js
	clientNode string
	//go:embed testdata/Client.java
	clientJava string
)

// script is a client whose source file is run by an interpreter.
func script(t *testing.T, interpreter, file, source string, args ...string) *exec.Cmd {
	t.Helper()
	return program(t, interpreter, append([]string{writeFile(t, filepath.Join(sharedDir(t), file), source)}, args...)...)
}

// longLived is a client that is one process: it is told a URL, and answers
// with milliseconds, peer and page.
func longLived(t *testing.T, h *host, cmd *exec.Cmd) client {
	c := converse(t, h, cmd)
	return func(t *testing.T, to netip.Addr) (time.Duration, string) {
		line, err := c.ask(pageURL("https", to))
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Fields(line)
		if len(said) != 3 || said[2] != page {
			t.Fatalf("%s said %q", c.Path, said)
		}
		ms, err := strconv.ParseFloat(said[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ms * float64(time.Millisecond)), said[1]
	}
}

// fetchPages is that client in Go.
func fetchPages(args []string) error {
	ca, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	web := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		began := time.Now()
		peer, body, err := fetchPage(&web, lines.Text())
		if err != nil {
			return err
		}
		fmt.Println(time.Since(began).Seconds()*1000, peer, body)
	}
	return nil
}

func fetchPage(web *http.Client, url string) (peer, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", "", err
	}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { peer, _, _ = net.SplitHostPort(c.Conn.RemoteAddr().String()) },
	}))
	answer, err := web.Do(r)
	if err != nil {
		return "", "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return peer, string(text), err
}
