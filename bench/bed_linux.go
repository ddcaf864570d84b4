package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// bed is what is up while something is measured.
type bed struct {
	*bench
	processes []*process
	targets   []target
}

// withBed ends what f has started, the first first: without the server, no
// connection is left for the others to carry to its end.
func (b *bench) withBed(f func(*bed) error) error {
	on := &bed{bench: b}
	err := f(on)
	for _, p := range on.processes {
		stopped := p.stop()
		if err == nil {
			err = stopped
		}
	}
	return err
}

// withServer is withBed with the server up.
func (b *bench) withServer(f func(*bed) error) error {
	return b.withBed(func(on *bed) error {
		cmd := exec.Command(b.self, roleServe, "0.0.0.0:"+serverPort, pageAddress)
		cmd.Env = loadEnvironment()
		if err := on.start(cmd, target{name: direct, address: serverAddress}); err != nil {
			return err
		}
		on.targets[0].pid = 0 // what the server costs is nobody's
		return f(on)
	})
}

// withMapping is withServer with the measured program carrying to the server,
// and with peers.
func (b *bench) withMapping(peers []peer, f func(*bed) error) error {
	return b.withServer(func(on *bed) error {
		err := on.mapping(ours, faultAddress)
		for _, p := range peers {
			if err == nil {
				err = on.peer(p)
			}
		}
		if err != nil {
			return err
		}
		return f(on)
	})
}

// start starts a program, and waits until it listens.
func (on *bed) start(cmd *exec.Cmd, targets ...target) error {
	p, err := on.bench.start(cmd)
	if err != nil {
		return err
	}
	on.processes = append(on.processes, p)
	for _, t := range targets {
		if err := p.until(func() bool { return listens(t.address) }); err != nil {
			return err
		}
		t.pid = p.pid()
		on.targets = append(on.targets, t)
	}
	return nil
}

// peer starts a peer. A short run goes without one that is missing.
func (on *bed) peer(p peer) error {
	program, err := on.find(p)
	var cmd *exec.Cmd
	if err == nil {
		cmd, err = p.command(on.bench, program)
	}
	if err != nil && on.short {
		on.say("%v; measured without it", err)
		return nil
	}
	if err != nil {
		return err
	}
	// What it starts ends with it, however it ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	return on.start(cmd, p.targets...)
}

// mapping starts the measured program as a user does to have an address lead to
// the server.
func (on *bed) mapping(name, address string, flags ...string) error {
	return on.start(on.fault(append([]string{"--no-ui", "--disable-http-proxy", "--proxy-address", "127.0.0.1:0",
		"--proxy", address + "=" + behind(address)}, flags...)...), target{name: name, address: address})
}

// fault is the measured program.
func (b *bench) fault(flags ...string) *exec.Cmd {
	return exec.Command(b.binary, append([]string{"run"}, flags...)...)
}

// withAgent runs f while the measured program is ready, and gives what it says of
// the run at its end.
func (b *bench) withAgent(cmd *exec.Cmd, f func() error) (summary, error) {
	ready := filepath.Join(b.dir, "ready")
	cmd.Args = append(cmd.Args, "--json", "--ready-file", ready)
	var events lastLine
	cmd.Stdout = &events
	err := b.withBed(func(on *bed) error {
		p, err := b.start(cmd)
		if err != nil {
			return err
		}
		on.processes = append(on.processes, p)
		if err := p.until(func() bool { return exists(ready) }); err != nil {
			return err
		}
		return f()
	})
	if err != nil {
		return summary{}, err
	}
	return events.summary()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cgroup makes a cgroup for as long as f runs.
func (b *bench) withCgroup(f func(dir *os.File) error) (err error) {
	root, err := cgroup2()
	if err != nil {
		return err
	}
	b.started++
	path := filepath.Join(root, fmt.Sprintf("fault-bench-%d-%d", os.Getpid(), b.started))
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	defer func() {
		// Its processes have ended, but leave it a little later.
		err = errors.Join(err, eventually(func() error { return os.Remove(path) }))
	}()
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(dir)
}
