package control

import (
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLookAlikes are sockets that are called almost as an agent's is.
func TestLookAlikes(t *testing.T) {
	before, err := names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"fault-agent-", "fault-agent-77", "fault-agent-77-", "fault-agent-077-00000001", "fault-agent-0-00000001",
		"fault-agent--77-00000001", "fault-agent-77-0000000G", "fault-agent-77-000000012", "fault-agent-99999999999-00000001",
		"fault-agent-9999999999-00000001", "Fault-agent-77-00000001", "xfault-agent-77-00000001", "@fault-agent-77-00000001",
		"fault-agent-77-00000001 ", "fault-agent-77-00000001\x00", " @fault-agent-77-00000001",
		"fault-agent-77-00000001/x", strings.Repeat("9", 100),
	} {
		at, err := net.Listen("unix", "@"+name)
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
	}
	// A file of that name, a datagram socket, and one that does not listen.
	file := t.TempDir() + "/@fault-agent-78-00000001"
	at, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	datagrams, err := net.ListenPacket("unixgram", "@fault-agent-79-00000001")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@fault-agent-80-00000001"}); err != nil {
		t.Fatal(err)
	}
	after, err := names()
	if err != nil {
		t.Fatal(err)
	}
	for name := range after {
		if _, known := before[name]; !known && strings.HasSuffix(name, "-00000001") {
			t.Errorf("%q is taken for an agent", name)
		}
	}
}

// TestForgedLine is a name with a line of /proc/net/unix in it: it may be
// listed, but nobody is there.
func TestForgedLine(t *testing.T) {
	const forged = "fault-agent-81-00000001"
	at, err := net.Listen("unix", "@\n0: 00000002 00000000 00010000 0001 01 1 @"+forged)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	names, err := names()
	if err != nil {
		t.Fatal(err)
	}
	if _, there := names[forged]; !there {
		t.Error("the forged line is not read; the rest says nothing")
	}
	if p, err := find(t.Context(), forged); err == nil {
		t.Errorf("it is taken for %+v", p)
	}
}

// TestImpostors listen under an agent's name, and do what no agent does.
func TestImpostors(t *testing.T) {
	leavesNothing(t)
	for text, want := range map[string]struct {
		code Code
		text string
	}{
		"":                                     {Ended, "ended before it answered"},
		"hello":                                {Ended, "ended before it answered"},
		"\n":                                   {NoAnswer, "did not answer with a line of JSON"},
		strings.Repeat("x", replyLimit) + "\n": {NoAnswer, "answered with more than"},
		`{"schema":7}` + "\n":                  {NoAnswer, "answers with schema 7"},
		`{"schema":1,"error":"busy","text":"of\u001b[2J"}` + "\n": {"busy", "refuses: of\x1b[2J"},
	} {
		at, err := net.Listen("unix", "@"+namePrefix+"82-00000001")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := at.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, text)
				conn.Close()
			}
		}()
		peer, err := find(t.Context(), namePrefix+"82-00000001")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Ask(t.Context(), Look); !Is(err, want.code) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%.20q: %v, want %s: %s", text, err, want.code, want.text)
		}
		at.Close()
		<-done
	}
}
