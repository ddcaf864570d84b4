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

// The addresses of the namespace. All of what is carried ends at the server,
// which listens at all addresses of its port.
const (
	serverPort    = "9000"
	serverAddress = "127.0.0.1:" + serverPort
	pageAddress   = "127.0.0.1:9001" // of the server, too

	faultAddress     = "127.0.0.1:4101"
	haproxyAddress   = "127.0.0.1:4102"
	spliceAddress    = "127.0.0.1:4103" // of haproxy, too
	nginxAddress     = "127.0.0.1:4104"
	toxiproxyAddress = "127.0.0.1:4105"
	socatAddress     = "127.0.0.1:4106"

	tinyproxyAddress = "127.0.0.1:4107"
	squidAddress     = "127.0.0.1:4108"
	mitmproxyAddress = "127.0.0.1:4109"

	toxiproxyControl = "127.0.0.1:8474"
)

// behind is the server for what listens at an address. Each has one of its own:
// connections that have ended keep their pairs of addresses and ports for a
// while, which would make the next target search for free ones.
func behind(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return "127.0.0." + port[len(port)-3:] + ":" + serverPort
}

// The names of the peers.
const (
	haproxy   = "haproxy"
	splicing  = "haproxy splice-auto"
	nginx     = "nginx"
	toxiproxy = "toxiproxy"
	socat     = "socat"
	tinyproxy = "tinyproxy"
	squid     = "squid"
	mitmproxy = "mitmproxy"
)

// peer is another program that does what ours does. It may do so at several
// addresses.
type peer struct {
	program string
	// from is the command that installs it.
	from string
	// versionFlag has it print its version, if there is such a flag.
	versionFlag string

	command func(b *bench, program string) (*exec.Cmd, error)
	targets []target
}

const fromPackages = "sudo scripts/setup.sh bench"

// tcpPeers carry TCP, as a mapping does.
var tcpPeers = []peer{
	{"haproxy", fromPackages, "-v", (*bench).haproxy, []target{{name: haproxy, address: haproxyAddress}, {name: splicing, address: spliceAddress}}},
	{"nginx", fromPackages, "-v", (*bench).nginx, []target{{name: nginx, address: nginxAddress}}},
	toxiproxyPeer,
	{"socat", fromPackages, "-V", (*bench).socat, []target{{name: socat, address: socatAddress}}},
}

var toxiproxyPeer = peer{"toxiproxy-server", "make .bench/toxiproxy-server", "", (*bench).toxiproxy, []target{{name: toxiproxy, address: toxiproxyAddress}}}

// httpPeers are proxies that a client asks for a page.
var httpPeers = []peer{
	{"tinyproxy", fromPackages, "-v", (*bench).tinyproxy, []target{{name: tinyproxy, address: tinyproxyAddress}}},
	{"squid", fromPackages, "-v", (*bench).squid, []target{{name: squid, address: squidAddress}}},
	{"mitmproxy/bin/mitmdump", "make .bench/mitmproxy/bin/mitmdump", "--version", (*bench).mitmproxy, []target{{name: mitmproxy, address: mitmproxyAddress}}},
}

// targetNames are those of all peers.
func targetNames(peers []peer) []string {
	var all []string
	for _, p := range peers {
		all = append(all, names(p.targets)...)
	}
	return all
}

// find gives the path of a peer's program.
func (b *bench) find(p peer) (string, error) {
	if path, err := exec.LookPath(filepath.Join(b.peers, p.program)); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(filepath.Base(p.program))
	if err != nil {
		return "", fmt.Errorf("find %s: it is not installed; `%s` installs it", filepath.Base(p.program), p.from)
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
	server bench %s
`, descriptorLimit()/3, processors(), haproxyAddress, behind(haproxyAddress), spliceAddress, behind(spliceAddress)))
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
`, streamModule, b.dir, processors(), descriptorLimit(), nginxAddress, behind(nginxAddress)))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(streamModule); err != nil {
		return nil, fmt.Errorf("find nginx's stream module: %w; `%s` installs it", errors.Unwrap(err), fromPackages)
	}
	return exec.Command(program, "-e", "stderr", "-c", path), nil
}

// streamModule is where Debian and Ubuntu have it.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

func (b *bench) toxiproxy(program string) (*exec.Cmd, error) {
	text, err := json.Marshal([]map[string]any{
		{"name": toxic, "listen": toxiproxyAddress, "upstream": behind(toxiproxyAddress), "enabled": true},
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
		fmt.Sprintf("TCP:%s,nodelay", behind(socatAddress))), nil
}

func (b *bench) tinyproxy(program string) (*exec.Cmd, error) {
	host, port, _ := strings.Cut(tinyproxyAddress, ":")
	path, err := b.settingsFile("tinyproxy.conf", fmt.Sprintf(`Listen %s
Port %s
Timeout 600
MaxClients 500
LogLevel Critical
`, host, port))
	return exec.Command(program, "-d", "-c", path), err
}

func (b *bench) squid(program string) (*exec.Cmd, error) {
	path, err := b.settingsFile("squid.conf", fmt.Sprintf(`http_port %s
http_access allow all
cache deny all
access_log none
cache_log /dev/null
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
`, squidAddress))
	return exec.Command(program, "-N", "-f", path), err
}

func (b *bench) mitmproxy(program string) (*exec.Cmd, error) {
	host, port, _ := strings.Cut(mitmproxyAddress, ":")
	return exec.Command(program, "--quiet", "--set", "confdir="+filepath.Join(b.dir, "mitmproxy"),
		"--listen-host", host, "--listen-port", port), nil
}
