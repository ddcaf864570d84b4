package main

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/faultproxy/fault/proxy"
)

func TestTarget(t *testing.T) {
	for text, want := range map[string]proxy.Target{
		"svc:8080":                   {Host: "svc", Port: 8080},
		"svc:443":                    {Host: "svc", Port: 443, TLS: true},
		"http://svc:443":             {Host: "svc", Port: 443},
		"http://svc":                 {Host: "svc", Port: 80},
		"HTTPS://svc.example.com/":   {Host: "svc.example.com", Port: 443, TLS: true},
		"https://10.1.2.3:8443":      {Host: "10.1.2.3", Port: 8443, TLS: true},
		"[2001:db8::1]:80":           {Host: "2001:db8::1", Port: 80},
		"https://[2001:db8::1]":      {Host: "2001:db8::1", Port: 443, TLS: true},
		"http://my_service.internal": {Host: "my_service.internal", Port: 80},
	} {
		if got, err := parseTarget(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ":80", "svc", "svc:", "svc:0", "svc:65536", "svc:http", "http://", "http://:80", "ftp://svc:21", "://svc:80",
		"*:80", "!svc:80", "a,b:80", "10.0.0.0/8", "10.0.0.0/8:80", "*.example.com:80", "fe80::1:80", "[fe80::1%eth0]:80",
		"http://me@svc", "http://svc/path", "http://svc?q", "http://svc#f", "sv c:80", "svc:80\n",
	} {
		if got, err := parseTarget(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// FuzzTarget holds that a target is one that can be written again.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"svc:8080", "https://[2001:db8::1]/", "http://h", "h:443", "*:1", "://", "http://a,b:1", "[::ffff:1.2.3.4]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		to, err := parseTarget(text)
		if err != nil {
			if to != (proxy.Target{}) {
				t.Fatalf("%q fails, and is %+v", text, to)
			}
			return
		}
		scheme := "http://"
		if to.TLS {
			scheme = "https://"
		}
		again, err := parseTarget(scheme + net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
		if err != nil || again != to || to.Port == 0 || strings.ContainsAny(to.Host, "[]%/@,* ") {
			t.Fatalf("%q is %+v; again it is %+v, %v", text, to, again, err)
		}
	})
}

// FuzzListenAddress holds that what is taken can be listened at, or is a name
// to ask for.
func FuzzListenAddress(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:3180", "http://0.0.0.0:3180/", "localhost:0", "[::ffff:127.0.0.1]:80", "[::1]:80", "h:65536", ":80", "://:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, err := splitListenAddress(text)
		if err != nil {
			if host != "" || port != 0 {
				t.Fatalf("%q fails, and is %q and %d", text, host, port)
			}
			return
		}
		again, number, err := splitListenAddress(net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err != nil || again != host || number != port {
			t.Fatalf("%q is %q and %d; again it is %q and %d, %v", text, host, port, again, number, err)
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			return // a name
		}
		address := listenAddress{text, host, port}
		if at, err := address.resolve(context.Background()); err != nil || !at.Addr().Is4() || at.Port() != port {
			t.Fatalf("%q is %v, %v", text, at, err)
		}
	})
}
