package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// NeededLater says why this kernel wants the capabilities also after programs
// are attached; nil if it does not. It takes those of [Attach].
func NeededLater() error {
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
	defer pauseCollector()()
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
	if named().AtLeast(6, 1) {
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
