// Command guestinit is the first process of a test guest. It mounts what the
// tests need, brings loopback up, runs each program of /tests with the arguments
// that stand after "--" on the kernel's command line, says "FAULT-GUEST exit
// CODE" on the console and ends the machine.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if os.Getpid() != 1 {
		os.Exit(runTests())
	}
	code := 1
	err := setUp()
	if err == nil {
		code, err = supervise()
	}
	if err != nil {
		fmt.Println("guestinit:", err)
	}
	fmt.Printf("FAULT-GUEST exit %d\n", code)
	// QEMU takes the reset of the machine as its end.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func setUp() error {
	for _, m := range []struct{ kind, folder string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"devpts", "/dev/pts"},
		{"cgroup2", "/sys/fs/cgroup"},
		{"bpf", "/sys/fs/bpf"},
		{"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.folder, 0o755); err != nil {
			return err
		}
		// Some kernels have mounted devtmpfs already.
		if err := unix.Mount(m.kind, m.folder, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.folder, err)
		}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("ask for the kernel's release: %w", err)
	}
	// The firmware leaves its last line open.
	fmt.Printf("\nFAULT-GUEST kernel %s %s\n", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]))
	return loopbackUp()
}

// loopbackUp also gives lo its addresses, 127.0.0.1 and ::1.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// supervise runs the tests in a process of their own and reaps every other: an
// orphan would otherwise stay as a zombie, which to a test looks alive.
func supervise() (code int, err error) {
	child, err := os.StartProcess("/init", []string{"/init"}, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 1, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1, fmt.Errorf("wait for the tests: %w", err)
		case pid == child.Pid && status.Exited():
			return status.ExitStatus(), nil
		case pid == child.Pid:
			return 1, fmt.Errorf("run the tests: %s", status.Signal())
		}
	}
}

// runTests fails also where nothing ran, unless the caller chose tests by name
// and another binary had them.
func runTests() (code int) {
	binaries, _ := filepath.Glob("/tests/*.test")
	args := testArgs()
	chosen := strings.Contains(strings.Join(args, " "), "-test.run")
	total := 0
	for _, binary := range binaries {
		ran, err := runTest(binary, args)
		total += ran
		if ran == 0 && !chosen && err == nil {
			err = errors.New("no test ran")
		}
		if err != nil {
			fmt.Printf("guestinit: run %s: %v\n", binary, err)
			code = 1
		}
	}
	if total == 0 {
		fmt.Println("guestinit: run tests: none ran")
		code = 1
	}
	return code
}

var (
	testRan     = regexp.MustCompile(`(?m)^--- (PASS|FAIL): `)
	testSkipped = regexp.MustCompile(`(?m)^--- SKIP: `)
)

func runTest(binary string, args []string) (ran int, err error) {
	var output bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Dir = "/tmp"
	cmd.Env = []string{"FAULT_GUEST=1", "REQUIRE_ROOT=1", "PATH=/bin", "TMPDIR=/tmp"}
	cmd.Stdout = io.MultiWriter(os.Stdout, &output)
	cmd.Stderr = cmd.Stdout
	// A process that a test left behind may hold the pipe open.
	cmd.WaitDelay = 5 * time.Second
	start := time.Now()
	err = cmd.Run()
	ran = len(testRan.FindAll(output.Bytes(), -1))
	skipped := len(testSkipped.FindAll(output.Bytes(), -1))
	if !bytes.HasSuffix(output.Bytes(), []byte("\n")) {
		fmt.Println()
	}
	fmt.Printf("FAULT-GUEST ran %s %d skipped %d in %s\n", filepath.Base(binary), ran, skipped, time.Since(start).Round(time.Millisecond))
	return ran, err
}

// testArgs gives what stands after "--" on the kernel's command line: os.Args
// would also have the parameters that the kernel did not know.
func testArgs() []string {
	line, _ := os.ReadFile("/proc/cmdline")
	_, args, _ := strings.Cut(string(line)+" ", " -- ")
	return strings.Fields(args)
}
