package bpf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ServeAttacher is an attacher's side. It returns once it has answered, or
// nobody wants an answer any more; it ends the process at once when the one
// that started it has ended.
func ServeAttacher() error {
	conn, err := connOf(3)
	if err != nil {
		return errors.New("there is nobody to attach programs for: `fault run` starts this by itself")
	}
	defer conn.Close()
	// The user may not trace this process, even if its capabilities are ambient.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	said := hello{Missing: MissingCapabilities()}
	if err := doneWithout(); err != nil {
		said.Needed = err.Error()
	}
	if err := json.NewEncoder(conn).Encode(said); err != nil {
		return err
	}
	var o order
	if err := json.NewDecoder(conn).Decode(&o); err != nil {
		return nil // not wanted any more
	}
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		os.Exit(1)
	}()
	i, err := Attach(o.config())
	if err != nil {
		return json.NewEncoder(conn).Encode(outcome{Err: toWire(err)})
	}
	return i.send(conn)
}

// doneWithout says why the capabilities are needed also after programs are
// attached; nil if they are not.
func doneWithout() error {
	if Check() != nil {
		return nil // which is then what is wrong
	}
	if err := usesMaps(); err != nil {
		return fmt.Errorf("this kernel wants them for each look at a BPF map (%w)", err)
	}
	if !showsKeepalive() {
		return errors.New("this kernel wants them for the mark by which agents leave each other alone (Linux 6.1 does not)")
	}
	return nil
}

// usesMaps says why a process without capabilities may not use a map of which
// it has a descriptor; nil if it may.
func usesMaps() error {
	if err := prepare(); err != nil {
		return err
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	tried := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		own, err := capabilities()
		for i := range own {
			own[i].Effective = 0
		}
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var value uint32
		tried <- errors.Join(err, unix.Capset(&hdr, &own[0]), m.Put(uint32(0), value), m.Lookup(uint32(0), &value))
	}()
	return <-tried
}

// showsKeepalive says whether programs see the mark that takes no privilege.
// That cannot be tried without a connect.
func showsKeepalive() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	if (Kernel{Release: unix.ByteSliceToString(u.Release[:])}).AtLeast(6, 1) {
		return true
	}
	// Distributions bring features back to older releases.
	symbols, err := os.Open("/proc/kallsyms")
	if err != nil {
		return false
	}
	defer symbols.Close()
	return answersPrograms(symbols)
}

// answersPrograms looks for what answers bpf_getsockopt since it knows all
// of TCP's options: a function that was one file's own before.
func answersPrograms(symbols io.Reader) bool {
	lines := bufio.NewScanner(symbols)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) >= 3 && f[1] == "T" && f[2] == "do_tcp_getsockopt" {
			return true
		}
	}
	return false
}
