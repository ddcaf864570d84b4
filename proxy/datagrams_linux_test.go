package proxy

import (
	"fmt"
	"net"
	"testing"
)

// Who asks one of several addresses takes an answer from no other.
func TestAnswersComeFromWhereWasAsked(t *testing.T) {
	for _, network := range []string{"udp", "udp4"} {
		t.Run(network, func(t *testing.T) {
			noLeaks(t)
			c, err := net.ListenPacket(network, "0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			s, at := &Server{}, c.(*net.UDPConn)
			u := &datagramPair{proxy: run(t, s), target: listenUDP(t, "127.0.0.1:0")}
			u.mapping = serveDatagrams(t, s, at, u.target.LocalAddr().String(), nil)
			port := at.LocalAddr().(*net.UDPAddr).Port
			for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"} {
				client := dialUDP(t, fmt.Sprint(host, ":", port))
				u.question(t, client, "hello")
				send(t, client, "") // of no bytes, and yet with an address
				u.heard(t, "")
				u.answer(t, "")
				answered(t, client, "")
			}
			// One client that asks at two is two flows.
			one, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
				to := &net.UDPAddr{IP: net.ParseIP(host), Port: port}
				if _, err := one.WriteTo([]byte("hello"), to); err != nil {
					t.Fatal(err)
				}
				u.heard(t, "hello")
				u.answer(t, "hi")
				if _, from, err := one.ReadFrom(make([]byte, 9)); err != nil || from.String() != to.String() {
					t.Errorf("asked %v, and %v answered, %v", to, from, err)
				}
			}
			u.stop()
			next(t, draining(t.Context(), u.proxy))
			for range 5 {
				if f := next(t, u.proxy.ended); !f.Client.Addr().Is4() || f.Err != nil {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}
