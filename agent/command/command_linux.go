package command

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/bpf"
)

// Command is one that is to run, runs, or has ended. A nil one is none: it never
// ends, and takes no signals.
type Command struct {
	cmd    *exec.Cmd
	folder *os.File // its cgroup
	keeper *keeper

	ended chan struct{} // closed when it has, or when it is known not to run

	mu      sync.Mutex
	started bool
	stopped os.Signal // what came before it was started, and kept it from that
	err     *Error    // why it did not run
}

func newCommand(path string, args []string) *Command {
	return &Command{
		cmd:   &exec.Cmd{Path: path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		ended: make(chan struct{}),
	}
}

// Name is the command without its arguments.
func (c *Command) Name() string { return c.cmd.Args[0] }

// Args is the command with its arguments.
func (c *Command) Args() []string { return c.cmd.Args }

// Prepare makes the cgroup, which is not there any more when this process has
// ended, however that ends. KeepArgument is that by which this program calls
// [Keep]. Who has called it calls Close.
func (c *Command) Prepare(keepArgument string) error {
	name := fmt.Sprintf("%s%d", bpf.RunCgroupPrefix, os.Getpid())
	folder, in, err := bpf.MakeCgroup(name)
	if err != nil {
		return fmt.Errorf("make a cgroup for `%s`: %w", c.Name(), err)
	}
	defer in.Close()
	c.folder = folder
	if c.keeper, err = startKeeper(keepArgument, in, name); err != nil {
		folder.Close()
		_ = unix.Unlinkat(int(in.Fd()), name, unix.AT_REMOVEDIR)
		return fmt.Errorf("start what removes the cgroup of `%s`: %w", c.Name(), err)
	}
	return nil
}

// Folder is a path of the cgroup.
func (c *Command) Folder() string { return fmt.Sprintf("/proc/self/fd/%d", c.folder.Fd()) }

// Start starts it, as if nobody were between it and who started us.
func (c *Command) Start() {
	// What is ignored is so for children, too; what is caught is not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(c.folder.Fd())}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped != nil {
		close(c.ended)
		return
	}
	if err := c.cmd.Start(); err != nil {
		c.err = failed(c.Name(), err)
		close(c.ended)
		return
	}
	c.started = true
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
}

// Ended is closed when it has ended.
func (c *Command) Ended() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.ended
}

// isOver says whether it has ended.
func (c *Command) isOver() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Forward gives a signal to it, and says whether that is all that there is to do
// about it: not if it does not run.
func (c *Command) Forward(s os.Signal) bool {
	if c == nil || c.isOver() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		c.stopped = s
		return false
	}
	if !fromTerminal(s) {
		_ = c.cmd.Process.Signal(s)
	}
	return true
}

// Signals are more signals that are to be forwarded, from now on.
func (c *Command) Signals() <-chan os.Signal {
	if c == nil {
		return nil
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	return signals
}

// fromTerminal says whether a signal is one of a key, which the terminal gives to
// all of its foreground. Go does not tell who sent a signal; so one that somebody
// else sends to this process alone, while it is in the foreground, is not told
// from that of the key.
func fromTerminal(s os.Signal) bool {
	if s != os.Interrupt && s != syscall.SIGQUIT {
		return false
	}
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer terminal.Close()
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// Exit is what a shell would exit with, if it has ended, or does not run.
func (c *Command) Exit() (code int, ended bool) {
	if !c.isOver() {
		return 0, false
	}
	code, _ = c.Code()
	return code, true
}

// Code waits for its end, and is what a shell would exit with. The error is why
// it did not run.
func (c *Command) Code() (int, error) {
	c.mu.Lock()
	started, err, stopped := c.started, c.err, c.stopped
	c.mu.Unlock()
	switch {
	case err != nil:
		return err.Code, err
	case !started:
		return bySignal + number(stopped), nil
	}
	<-c.ended
	status := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return bySignal + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// number is that of a signal; without one, that which asks for the end.
func number(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return int(syscall.SIGTERM)
}

// Close removes the cgroup. What the command left running goes on in ours.
func (c *Command) Close() {
	if c == nil || c.keeper == nil {
		return
	}
	c.folder.Close()
	c.keeper.end()
}
