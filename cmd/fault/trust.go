package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/proxy/mapping"
)

// trustFlags are the flags that say whom we trust where we speak TLS ourselves.
type trustFlags struct {
	authorities text
	anybody     bool
}

func addTrustFlags(cmd *cobra.Command) *trustFlags {
	f := &trustFlags{authorities: text{kind: "PATH", isPath: true}}
	s := section{cmd, "Traffic"}
	more(s.value(&f.authorities, "tls-ca", "trust the authorities in this PEM file, too", "FAULT_TLS_CA"),
		"It matters where we speak TLS to an upstream ourselves: for mappings to https, tls and psqls, and for `https://` requests to the proxy. "+
			"TLS that a program speaks is passed through, and never opened.")
	more(s.toggle(&f.anybody, "tls-skip-verify", "trust any upstream", "FAULT_TLS_SKIP_VERIFY"),
		"Whoever answers in the place of an upstream is then trusted.")
	return f
}

// config is how upstreams are verified; nil is as the system does.
func (f *trustFlags) config(traffic *trafficFlags, line *commandLine) (*tls.Config, error) {
	if !traffic.speaksTLS() {
		line.ignore("where TLS is only passed through: there is no proxy, and no --proxy to a TLS target", "tls-ca", "tls-skip-verify")
		return nil, nil
	}
	if f.anybody {
		line.ignore("with --tls-skip-verify", "tls-ca")
		line.warn("--tls-skip-verify: whoever answers in the place of an upstream is trusted", "")
		return &tls.Config{InsecureSkipVerify: true}, nil
	}
	if f.authorities.value == "" {
		return nil, nil
	}
	roots, err := f.roots()
	if err != nil {
		return nil, usage(fmt.Sprintf("%s `%s`: %v", line.called("tls-ca"), f.authorities.value, err), "")
	}
	return &tls.Config{RootCAs: roots}, nil
}

// roots are the system's authorities and those of the file.
func (f *trustFlags) roots() (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(f.authorities.value)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("there is no certificate in it (PEM has `-----BEGIN CERTIFICATE-----`)")
	}
	return roots, nil
}

// speaksTLS says whether there may be an upstream to which we speak TLS: one
// of a mapping, or what a client asks of the proxy as https://.
func (f *trafficFlags) speaksTLS() bool {
	for _, m := range f.mappings {
		if m.TLS != mapping.NoTLS {
			return true
		}
	}
	return !f.noProxy
}
