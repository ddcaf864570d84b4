package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/bench/load"
)

const (
	// readyWithin bounds the start of a process.
	readyWithin = 20 * time.Second
	// endsWithin bounds the end of one.
	endsWithin = 8 * time.Second
	// jobWithin bounds a job beyond what it measures.
	jobWithin = 60 * time.Second
)

// process is a program that runs beside the bench.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // a file
	done chan struct{} // closed when it has ended
	err  error         // how, then

	stopped func() error // why nothing is waited for any more
}

// start starts a program. It ends with the bench, however that ends.
func (b *bench) start(cmd *exec.Cmd) (*process, error) {
	name := filepath.Base(cmd.Path)
	b.started++
	p := &process{
		name: name, cmd: cmd, log: filepath.Join(b.dir, fmt.Sprintf("%d-%s.log", b.started, name)), done: make(chan struct{}),
		stopped: b.stopped,
	}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// Ctrl-C is the bench's, which ends them in order.
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended says that the process ended by itself, and its last words.
func (p *process) ended() error {
	log, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return fmt.Errorf("%s ended (%v): %s", p.name, p.err, strings.Join(lines[max(0, len(lines)-3):], "; "))
}

// until waits for what the process does once it is ready.
func (p *process) until(ready func() bool) error {
	for end := time.Now().Add(readyWithin); !ready(); time.Sleep(time.Millisecond) {
		select {
		case <-p.done:
			return p.ended()
		default:
		}
		if err := p.stopped(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not ready after %s", p.name, readyWithin)
		}
	}
	return nil
}

func listens(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// stop ends the process, and fails if it had ended before.
func (p *process) stop() error {
	select {
	case <-p.done:
		return p.ended()
	default:
	}
	if p.cmd.SysProcAttr.Cloneflags&syscall.CLONE_NEWPID != 0 {
		// The first process of a namespace may ignore what asks it to end. With
		// it all others of the namespace end.
		_ = p.cmd.Process.Kill()
		<-p.done
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(endsWithin):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s", p.name, endsWithin)
	}
}

// do has a client of its own do a job. In a cgroup, if it is not nil.
func (b *bench) do(job load.Job, cgroup *os.File) (load.Result, error) {
	var result load.Result
	if err := b.stopped(); err != nil {
		return result, err
	}
	text, err := json.Marshal(job)
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(b.ctx, job.WarmUp+job.Window+jobWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.self, roleLoad, string(text))
	cmd.Env = loadEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if cgroup != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(cgroup.Fd())
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if stopped := b.stopped(); stopped != nil {
			return result, stopped
		}
		return result, errors.New(strings.TrimPrefix(strings.TrimSpace(string(exit.Stderr)), "error: "))
	}
	if err != nil {
		return result, err
	}
	return result, json.Unmarshal(out, &result)
}

// loadEnvironment keeps Go from interrupting blocking system calls.
func loadEnvironment() []string { return append(os.Environ(), "GODEBUG=asyncpreemptoff=1") }

// onOneCPU has all that is started meanwhile on one processor.
func onOneCPU(f func() error) error {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	var one unix.CPUSet
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &all))
}

// eventually tries again for a while.
func eventually(try func() error) error {
	for end := time.Now().Add(endsWithin); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// cgroup2 is where the root of cgroup2 is mounted.
func cgroup2() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && fields[3] == "/" {
			return fields[4], nil
		}
	}
	return "", errors.New("find cgroup2: it is not mounted")
}
