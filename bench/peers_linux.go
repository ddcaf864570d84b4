package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// The addresses of the namespace. All of what is carried ends at the server.
const (
	serverAddress = "127.0.0.1:9000"

	faultAddress     = "127.0.0.1:4101"
	haproxyAddress   = "127.0.0.1:4102"
	spliceAddress    = "127.0.0.1:4103" // of haproxy, too
	nginxAddress     = "127.0.0.1:4104"
	toxiproxyAddress = "127.0.0.1:4105"
	socatAddress     = "127.0.0.1:4106"

	toxiproxyControl = "127.0.0.1:8474"
)

// The names of the targets.
const (
	ours      = "fault"
	haproxy   = "haproxy"
	splicing  = "haproxy splice-auto"
	nginx     = "nginx"
	toxiproxy = "toxiproxy"
	socat     = "socat"
)

// peers carry TCP as a mapping does.
var peers = []string{haproxy, splicing, nginx, toxiproxy, socat}

// peer is how a target is started. It may serve at several addresses.
type peer struct {
	program string
	// from is the command that installs it.
	from    string
	command func(b *bench, program string) (*exec.Cmd, error)
	targets []target
}

const fromPackages = "sudo scripts/setup.sh bench"

var tcpPeers = []peer{
	{"haproxy", fromPackages, (*bench).haproxy, []target{{name: haproxy, address: haproxyAddress}, {name: splicing, address: spliceAddress}}},
	{"nginx", fromPackages, (*bench).nginx, []target{{name: nginx, address: nginxAddress}}},
	{"toxiproxy-server", "make .bench/toxiproxy-server", (*bench).toxiproxy, []target{{name: toxiproxy, address: toxiproxyAddress}}},
	{"socat", fromPackages, (*bench).socat, []target{{name: socat, address: socatAddress}}},
}

// find gives the path of a peer's program.
func (b *bench) find(p peer) (string, error) {
	if path, err := exec.LookPath(filepath.Join(b.peers, p.program)); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(p.program)
	if err != nil {
		return "", fmt.Errorf("find %s: it is not installed; %s installs it", p.program, p.from)
	}
	return path, nil
}

// settingsFile writes a file for a peer to read.
func (b *bench) settingsFile(name, text string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// processors is how many the peers may use.
func processors() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return runtime.NumCPU()
	}
	return set.Count()
}

// descriptorLimit is how many files a process may have open.
func descriptorLimit() int {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return 1024
	}
	return int(min(files.Cur, 100_000))
}

func (b *bench) haproxy(program string) (*exec.Cmd, error) {
	path, err := b.settingsFile("haproxy.cfg", fmt.Sprintf(`global
	maxconn %d
	nbthread %d
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen copying
	bind %s
	server bench %s
listen splicing
	bind %s
	option splice-auto
	server bench %[4]s
`, descriptorLimit()/3, processors(), haproxyAddress, serverAddress, spliceAddress))
	return exec.Command(program, "-db", "-f", path), err
}

func (b *bench) nginx(program string) (*exec.Cmd, error) {
	path, err := b.settingsFile("nginx.conf", fmt.Sprintf(`load_module %s;
daemon off;
pid %s/nginx.pid;
worker_processes %d;
events { worker_connections %d; }
stream {
	server {
		listen %s backlog=4096;
		proxy_pass %s;
		proxy_timeout 1h;
	}
}
`, streamModule, b.dir, processors(), descriptorLimit(), nginxAddress, serverAddress))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(streamModule); err != nil {
		return nil, fmt.Errorf("find nginx's stream module: %w; %s installs it", errors.Unwrap(err), fromPackages)
	}
	return exec.Command(program, "-e", "stderr", "-c", path), nil
}

// streamModule is where Debian and Ubuntu have it.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

func (b *bench) toxiproxy(program string) (*exec.Cmd, error) {
	text, err := json.Marshal([]map[string]any{
		{"name": toxic, "listen": toxiproxyAddress, "upstream": serverAddress, "enabled": true},
	})
	if err != nil {
		return nil, err
	}
	path, err := b.settingsFile("toxiproxy.json", string(text))
	host, port, _ := strings.Cut(toxiproxyControl, ":")
	cmd := exec.Command(program, "-host", host, "-port", port, "-config", path)
	cmd.Env = append(os.Environ(), "LOG_LEVEL=error") // a line for each connection otherwise
	return cmd, err
}

// toxic is the proxy's name in toxiproxy.
const toxic = "bench"

func (b *bench) socat(program string) (*exec.Cmd, error) {
	host, port, _ := strings.Cut(socatAddress, ":")
	return exec.Command(program, fmt.Sprintf("TCP-LISTEN:%s,bind=%s,fork,reuseaddr,backlog=1024,nodelay", port, host),
		fmt.Sprintf("TCP:%s,nodelay", serverAddress)), nil
}

// bed is what is up while something is measured.
type bed struct {
	processes []*process
	targets   []target
}

// add starts a program and waits until it listens.
func (b *bench) add(to *bed, cmd *exec.Cmd, targets ...target) error {
	p, err := b.start(cmd)
	if err != nil {
		return err
	}
	to.processes = append(to.processes, p)
	for _, t := range targets {
		if err := p.until(func() bool { return listens(t.address) }); err != nil {
			return err
		}
		t.pid = p.pid()
		to.targets = append(to.targets, t)
	}
	return nil
}

// addServer starts the server.
func (b *bench) addServer(to *bed) error {
	cmd := exec.Command(b.self, roleServe, serverAddress)
	cmd.Env = loadEnvironment()
	if err := b.add(to, cmd, target{name: direct, address: serverAddress}); err != nil {
		return err
	}
	to.targets[len(to.targets)-1].pid = 0 // its costs are nobody's
	return nil
}

// addPeer starts a peer. A short run goes without one that is missing.
func (b *bench) addPeer(to *bed, p peer) error {
	program, err := b.find(p)
	var cmd *exec.Cmd
	if err == nil {
		cmd, err = p.command(b, program)
	}
	if err != nil {
		if b.short {
			b.say("%v; measured without it", err)
			return nil
		}
		return err
	}
	return b.add(to, cmd, p.targets...)
}

// addFault starts the measured program with a mapping to the server.
func (b *bench) addFault(to *bed, flags ...string) error {
	return b.add(to, b.mapping(flags...), target{name: ours, address: faultAddress})
}

// mapping is the measured program as a user has it carry one address.
func (b *bench) mapping(flags ...string) *exec.Cmd {
	return exec.Command(b.binary, append([]string{"run", "--no-ui", "--disable-http-proxy",
		"--proxy-address", "127.0.0.1:4100", "--proxy", faultAddress + "=" + serverAddress}, flags...)...)
}

// withAll runs f while the server, the measured program and all peers are up.
func (b *bench) withAll(f func(targets []target) error) error {
	return b.withBed(func(to *bed) error {
		if err := b.addServer(to); err != nil {
			return err
		}
		if err := b.addFault(to); err != nil {
			return err
		}
		for _, p := range tcpPeers {
			if err := b.addPeer(to, p); err != nil {
				return err
			}
		}
		return f(to.targets)
	})
}

// withBed ends what f has started, the last first.
func (b *bench) withBed(f func(*bed) error) error {
	var to bed
	err := f(&to)
	for i := len(to.processes) - 1; i >= 0; i-- {
		stopped := to.processes[i].stop()
		if err == nil {
			err = stopped
		}
	}
	return err
}
