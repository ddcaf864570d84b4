package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// hostCommands run a command as exits does, on a host that differs:
//
//	withoutbpf CODE COMMAND...         a seccomp filter refuses bpf(2)
//	resolving ADDRESS CODE COMMAND...  /etc/resolv.conf names a server that knows no name
//	without2 CODE COMMAND...           no cgroup2 is mounted
var hostCommands = map[string]func(*testscript.TestScript, bool, []string){
	"withoutbpf": func(ts *testscript.TestScript, _ bool, args []string) {
		altered(ts, args, refuseBPF)
	},
	"resolving": func(ts *testscript.TestScript, _ bool, args []string) {
		server := nameless(ts, args[0])
		defer server.Close()
		altered(ts, args[1:], func() error {
			config := ts.MkAbs("resolv.conf")
			if err := os.WriteFile(config, []byte("nameserver "+args[0]+"\n"), 0o644); err != nil {
				return err
			}
			if err := ownMounts(); err != nil {
				return err
			}
			return unix.Mount(config, "/etc/resolv.conf", "", unix.MS_BIND, "")
		})
	},
	"without2": func(ts *testscript.TestScript, _ bool, args []string) {
		altered(ts, args, func() error {
			if err := ownMounts(); err != nil {
				return err
			}
			for path := cgroup2(); path != ""; path = cgroup2() {
				if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
					return err
				}
			}
			return nil
		})
	},
}

// altered runs a command as a child of a thread that is altered and ends.
func altered(ts *testscript.TestScript, args []string, alter func() error) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		if err := alter(); err != nil {
			done <- fmt.Errorf("alter the host: %w", err)
			return
		}
		done <- exitsWith(ts, args[0], args[1:])
	}()
	ts.Check(<-done)
}

// refuseBPF installs a filter for this thread and its children.
func refuseBPF() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_BPF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// ownMounts gives this thread and its children mounts of their own.
func ownMounts() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

// nameless is a DNS server at port 53 of an address, which knows no name.
func nameless(ts *testscript.TestScript, address string) net.PacketConn {
	server, err := net.ListenPacket("udp4", net.JoinHostPort(address, "53"))
	ts.Check(err)
	go func() {
		query := make([]byte, 512)
		for {
			n, client, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			if n >= 4 { // RFC 1035: an answer that this name does not exist
				query[2], query[3] = query[2]|0x80, 0x83
				_, _ = server.WriteTo(query[:n], client)
			}
		}
	}()
	return server
}

// cgroup2 is where cgroup2 is mounted for this thread; empty if it is not.
func cgroup2() string {
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4]
		}
	}
	return ""
}

// setUpCgroup makes a cgroup for a script, which is empty at the end, too.
func setUpCgroup(env *testscript.Env) error {
	if os.Geteuid() != 0 || cgroup2() == "" {
		return nil
	}
	dir, err := os.MkdirTemp(cgroup2(), "fault-script-")
	if err != nil {
		return err
	}
	env.Defer(func() {
		for end := time.Now().Add(10 * time.Second); os.Remove(dir) != nil && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	})
	env.Setenv("CGROUP", dir)
	env.Setenv("TOP", filepath.Dir(dir))
	return nil
}
