package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// dnsAnswer is a response to a question about a name, of which the records are
// written as zone files have them: "www.test. A 192.0.2.1".
func dnsAnswer(t testing.TB, question string, records ...string) []byte {
	t.Helper()
	q := dnsmessage.Question{Name: dnsmessage.MustNewName(question), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	b.EnableCompression()
	try := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	try(b.StartQuestions())
	try(b.Question(q))
	try(b.StartAnswers())
	for _, record := range records {
		f := strings.Fields(record)
		head := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(f[0]), Class: dnsmessage.ClassINET, TTL: 1}
		switch f[1] {
		case "A":
			try(b.AResource(head, dnsmessage.AResource{A: netip.MustParseAddr(f[2]).As4()}))
		case "AAAA":
			try(b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(f[2]).As16()}))
		case "CNAME":
			try(b.CNAMEResource(head, dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[2])}))
		case "TXT":
			try(b.TXTResource(head, dnsmessage.TXTResource{TXT: []string{f[2]}}))
		}
	}
	try(b.StartAdditionals())
	var edns dnsmessage.ResourceHeader
	try(edns.SetEDNS0(1232, dnsmessage.RCodeSuccess, false))
	try(b.OPTResource(edns, dnsmessage.OPTResource{}))
	message, err := b.Finish()
	try(err)
	return message
}

// hears has a program in the namespace get a message from a port, as a
// resolver's answer, and wants it to arrive as it was sent.
func (h *host) hears(from string, message []byte) {
	h.t.Helper()
	at := netip.MustParseAddrPort(from)
	var server, client *net.UDPConn
	err := h.ns.Do(func() (err error) {
		if server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err == nil {
			client, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at.Addr(), 0)))
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	defer server.Close()
	defer client.Close()
	if _, err := server.WriteTo(message, client.LocalAddr()); err != nil {
		h.t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1<<16)
	n, _, err := client.ReadFrom(buf)
	if err != nil || string(buf[:n]) != string(message) {
		h.t.Fatalf("%d of %d bytes arrived: %v", n, len(message), err)
	}
}

// meets connects, and is how the connection came to the listener; "" if the
// call was left alone.
func (h *host) meets(to string) string {
	h.t.Helper()
	at := netip.MustParseAddrPort(to)
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	before := h.counted(Intercepted)
	fd := h.socket(family, unix.SOCK_STREAM, 0)
	if err := unix.SetNonblock(fd, true); err != nil {
		h.t.Fatal(err)
	}
	_ = unix.Connect(fd, sockaddr(at)) // which nobody need answer
	if h.counted(Intercepted) == before {
		return ""
	}
	o, ok := h.origin(accepted(h.t, h.ln))
	by := "address"
	if o.ByName {
		by = "name"
	}
	switch {
	case !ok:
		return "unknown"
	case o.Shared:
		return "shared " + by
	}
	return by
}

func newNamedHost(t *testing.T, names []NameRule, rules ...Rule) *host {
	t.Helper()
	h := newHostOf(t, Config{Rules: rules, Names: names})
	learns := "yes"
	if err := h.i.Learns(); err != nil {
		learns = "no"
		t.Log(err)
	}
	t.Log("FEATURE learns-names", learns)
	if learns == "no" {
		t.Skip("this kernel does not learn")
	}
	return h
}

// TestLearn has programs hear of names before they connect.
func TestLearn(t *testing.T) {
	names := []NameRule{
		{Name: "api.test"}, {Name: "Db.Test.", Port: 5432}, {Name: "wild.test", Below: true},
		{Name: "not.wild.test", Exclude: true}, {Name: "excluded.test", Exclude: true},
	}
	long := strings.Repeat("a23456789012345678901234567890.", 7) + "wild.test."
	var many []string
	for n := range 40 {
		many = append(many, fmt.Sprintf("many.wild.test. A 192.0.2.%d", 100+n))
	}
	for name, tc := range few(map[string]struct {
		question string
		records  []string
		from     string            // 192.0.2.10:53 if it is empty
		want     map[string]string // by destination
	}{
		"nothing":         {question: "api.test.", want: map[string]string{"192.0.2.1:80": ""}},
		"a name":          {question: "api.test.", records: []string{"api.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": "name", "192.0.2.2:80": ""}},
		"capitals":        {question: "aPI.TesT.", records: []string{"aPI.TesT. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": "name"}},
		"IPv6":            {question: "api.test.", from: "[2001:db8::10]:53", records: []string{"api.test. AAAA 2001:db8::1"}, want: map[string]string{"[2001:db8::1]:80": "name"}},
		"a port":          {question: "db.test.", records: []string{"db.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:5432": "name", "192.0.2.1:80": ""}},
		"below":           {question: "a.b.wild.test.", records: []string{"a.b.wild.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": "name"}},
		"not below":       {question: "wild.test.", records: []string{"wild.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"similar":         {question: "bewild.test.", records: []string{"bewild.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"longer":          {question: "api.test.example.", records: []string{"api.test.example. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"subdomain":       {question: "x.api.test.", records: []string{"x.api.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"long":            {question: long, records: []string{long + " A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": "name"}},
		"many":            {question: "many.wild.test.", records: many, want: map[string]string{"192.0.2.100:80": "name", "192.0.2.139:80": "name", "192.0.2.140:80": ""}},
		"an alias":        {question: "api.test.", records: []string{"api.test. CNAME x.cdn.example.", "x.cdn.example. CNAME y.other.", "y.other. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": "name"}},
		"other data":      {question: "api.test.", records: []string{"api.test. TXT hello", "api.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": "name"}},
		"root":            {question: ".", records: []string{". A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"excluded":        {question: "excluded.test.", records: []string{"excluded.test. A 198.51.100.1"}, want: map[string]string{"198.51.100.1:80": "", "198.51.100.2:80": "address"}},
		"excluded below":  {question: "not.wild.test.", records: []string{"not.wild.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"another port":    {question: "api.test.", from: "192.0.2.10:5353", records: []string{"api.test. A 192.0.2.1"}, want: map[string]string{"192.0.2.1:80": ""}},
		"by address, too": {question: "api.test.", records: []string{"api.test. A 198.51.100.1"}, want: map[string]string{"198.51.100.1:80": "address"}},
	}, "IPv6", "long", "many", "excluded") {
		t.Run(name, func(t *testing.T) {
			h := newNamedHost(t, names, Rule{Prefix: netip.MustParsePrefix("198.51.100.0/24")})
			from := tc.from
			if from == "" {
				from = "192.0.2.10:53"
			}
			h.hears(from, dnsAnswer(t, tc.question, tc.records...))
			for to, want := range tc.want {
				if got := h.meets(to); got != want {
					t.Errorf("%s: %q, want %q", to, got, want)
				}
			}
		})
	}
}

// TestShared is addresses that several names have.
func TestShared(t *testing.T) {
	h := newNamedHost(t, []NameRule{{Name: "api.test"}, {Name: "also.test"}, {Name: "port.test", Port: 8080}, {Name: "not.test", Exclude: true}},
		Rule{Prefix: netip.MustParsePrefix("198.51.100.0/24")}, Rule{Prefix: netip.MustParsePrefix("198.51.100.9/32"), Exclude: true})
	heard := func(name, address string) { h.hears("192.0.2.10:53", dnsAnswer(t, name, name+" A "+address)) }
	want := func(address, want string) {
		t.Helper()
		if got := h.meets(address + ":80"); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	heard("api.test.", "192.0.2.1")
	heard("also.test.", "192.0.2.1")
	want("192.0.2.1", "name")
	heard("other.test.", "192.0.2.1")
	want("192.0.2.1", "shared name")
	heard("other.test.", "192.0.2.2")
	want("192.0.2.2", "")
	heard("api.test.", "192.0.2.2")
	want("192.0.2.2", "shared name")
	heard("port.test.", "192.0.2.1")
	want("192.0.2.1", "shared name")

	// Of excluded names, too.
	heard("not.test.", "192.0.2.3")
	want("192.0.2.3", "")
	heard("other.test.", "192.0.2.3")
	want("192.0.2.3", "")
	heard("api.test.", "192.0.2.3")
	want("192.0.2.3", "shared name")
	want("198.51.100.3", "address")
	heard("other.test.", "198.51.100.3")
	heard("api.test.", "198.51.100.3")
	want("198.51.100.3", "address")
	heard("not.test.", "198.51.100.3")
	want("198.51.100.3", "shared address")
	heard("not.test.", "198.51.100.4")
	want("198.51.100.4", "")
	heard("port.test.", "198.51.100.4")
	want("198.51.100.4", "shared address")
	heard("api.test.", "198.51.100.9")
	want("198.51.100.9", "") // an address is not told apart

	for name, addr := range map[string]string{"api.test": "192.0.2.4", "not.test": "192.0.2.5", "other.test": "192.0.2.6"} {
		if err := h.i.SetAddresses(name, []netip.Addr{netip.MustParseAddr(addr)}); err != nil {
			t.Error(err)
		}
	}
	want("192.0.2.4", "name")
	want("192.0.2.5", "")
	want("192.0.2.6", "")
	if err := h.i.SetAddresses("other.test", []netip.Addr{netip.MustParseAddr("192.0.2.4")}); err != nil {
		t.Error(err)
	}
	want("192.0.2.4", "shared name")
}

// TestHostilePackets are no answers. All of them arrive, and nothing is learnt.
func TestHostilePackets(t *testing.T) {
	h := newNamedHost(t, []NameRule{{Name: "api.test"}, {Name: "wild.test", Below: true}})
	good := dnsAnswer(t, "api.test.", "api.test. A 192.0.2.1")
	with := func(at int, b ...byte) []byte {
		m := append([]byte(nil), good...)
		copy(m[at:], b)
		return m
	}
	loop := with(12, 0xc0, 12)
	all := [][]byte{
		nil, {0}, good[:11], loop,
		with(2, 0x01),                // a query
		with(3, 3),                   // no such name
		with(4, 0, 2),                // two questions
		with(6, 0, 0),                // no answers
		with(12, 64), with(12, 0xff), // labels that are too long
		with(12, 3, 'a', '.', 'i', 4), // a dot within
		append(append(good[:12:12], make([]byte, 400)...), good[12:]...),
		append(good[:12:12], []byte(strings.Repeat("\x3f"+strings.Repeat("a", 63), 8))...),
	}
	for n := 12; n < 12+10+4+16; n++ { // up to the address
		all = append(all, good[:n])
	}
	for _, m := range all {
		h.hears("192.0.2.10:53", m)
	}
	if got := h.meets("192.0.2.1:80"); got != "" {
		t.Errorf("an address is meant: %q", got)
	}
	more := dnsAnswer(t, "api.test.", "api.test. A 192.0.2.7")
	more[6], more[7] = 0xff, 0xff // answers, of which there is one
	h.hears("192.0.2.10:53", more)
	if got := h.meets("192.0.2.7:80"); got != "name" {
		t.Errorf("what is there was not learnt: %q", got)
	}
}

func TestNameTable(t *testing.T) {
	table, err := newNameTable([]NameRule{
		{Name: "a.test"}, {Name: "b.test"}, {Name: "c.test", Port: 1}, {Name: "test", Below: true, Port: 2},
		{Name: "sub.test", Below: true, Exclude: true, Port: 3},
	})
	if err != nil || len(table.outcomes) != 4 {
		t.Fatalf("%+v, %v", table.outcomes, err)
	}
	for name, want := range map[string]string{
		"a.test": "[0 2] []", "c.test": "[1 2] []", "x.test": "[2] []", "x.sub.test": "[2] [3]", "test": "[] []", "other": "[] []",
	} {
		o := table.about(name, false)
		if got := fmt.Sprint(o.include, o.exclude); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	var rules []NameRule
	for n := range outcomesMax + 1 {
		rules = append(rules, NameRule{Name: fmt.Sprintf("n%d.test", n), Port: uint16(n + 1)})
	}
	if _, err := newNameTable(rules); err == nil {
		t.Error("too many outcomes are taken")
	}
	if _, err := newNameTable(rules[1:]); err != nil {
		t.Error(err)
	}
}
