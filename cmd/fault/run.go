package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/upstream"
)

// runFlags are the flags of `fault run`, but for those of faults.
type runFlags struct {
	proxyAddress string
	upstreams    []string
	transparent  word
	stealth      bool
	cgroup       string
	duration     period
	seed         uint64
	tail, noUI   bool
}

func newRun(env environment, logs *logFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [flags]",
		Short: "Inject faults until the duration ends, Ctrl-C or SIGTERM",
		Long: `Inject faults until the duration ends, Ctrl-C or SIGTERM.

On Linux, as root or with cap_bpf, cap_net_admin and cap_perfmon, every new TCP
connection of this network namespace to a matching upstream goes through the
faults, without the programs' knowing. Elsewhere, and for clients that ask for
it, the same address is an HTTP proxy: forward and CONNECT.`,
		Example: `  sudo fault run --with-latency --latency-mean 300 --latency-stddev 50 --upstream '*'
  sudo fault run --with-latency --latency-distribution uniform --latency-min 50 --latency-max 150 \
      --upstream '10.0.0.0/8,!10.0.0.53' --duration 5m
  fault run --with-latency --latency-mean 300 --transparent off
  curl -x http://127.0.0.1:3180 http://example.com/`,
		Args: noArguments,
	}
	f := addRunFlags(cmd)
	latency := addLatencyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runAgent(cmd, env, logs, f, latency) }
	return cmd
}

func addRunFlags(cmd *cobra.Command) *runFlags {
	f := &runFlags{transparent: word{value: "auto", words: []string{"auto", "on", "off"}}}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVarP(&f.upstreams, "upstream", "u", nil, "which destinations: * host host:port *.host address CIDR *:port !pattern; repeatable")
	variable(flags, "upstream", "FAULT_UPSTREAMS")
	addWord(cmd, &f.transparent, "transparent", "whether to intercept", "FAULT_TRANSPARENT")
	flags.BoolVar(&f.stealth, "stealth", false, "the same as --transparent on")
	variable(flags, "stealth", "FAULT_ENABLE_STEALTH")
	flags.StringVar(&f.cgroup, "cgroup", "", "intercept only processes of this cgroup2 folder and below")
	variable(flags, "cgroup", "FAULT_CGROUP")
	flags.StringVar(&f.proxyAddress, "proxy-address", "127.0.0.1:3180", "listen here; IPv4, port 0 takes a free one")
	variable(flags, "proxy-address", "FAULT_HTTP_PROXY_ADDRESS", "FAULT_PROXY_ADDRESS")
	flags.Var(&f.duration, "duration", "end after this time, such as 30s or 1h30m")
	variable(flags, "duration", "FAULT_PROXY_DURATION")
	flags.Uint64Var(&f.seed, "seed", 0, "draw as the run with this seed did; 0 takes a new one")
	variable(flags, "seed", "FAULT_SEED")
	flags.BoolVar(&f.tail, "tail", false, "write a line for each connection or request that ends")
	variable(flags, "tail", "FAULT_PROXY_TAILING")
	flags.BoolVar(&f.noUI, "no-ui", false, "write nothing but errors (and logs, if asked for)")
	variable(flags, "no-ui", "FAULT_PROXY_NO_UI")
	return f
}

// runAgent turns flags into a configuration, and runs it.
func runAgent(cmd *cobra.Command, env environment, logs *logFlags, f *runFlags, latency *latencyFlags) error {
	ctx, hurry, stop := env.untilAsked(cmd.Context())
	defer stop()
	warn := func(text, hint string) {
		fmt.Fprintf(env.stderr, "warning: %s\n", text)
		if hint != "" {
			fmt.Fprintf(env.stderr, "hint: %s\n", hint)
		}
	}
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	fault, idle, err := latency.fault(cmd)
	if err != nil {
		return err
	}
	if fault != nil {
		cfg.Faults = []faults.Fault{fault}
	}
	for _, text := range idle {
		warn(text, "")
	}
	stdout := lines.NewWriter(env.stdout)
	defer stdout.Close(300 * time.Millisecond)
	log, closeLog, err := logs.open(stdout)
	if err != nil {
		return err
	}
	defer closeLog()
	// The standard library complains about peers to a logger of its own.
	restore, err := zap.RedirectStdLogAt(log, zap.DebugLevel)
	if err != nil {
		return err
	}
	defer restore()
	cfg.Log, cfg.Warn, cfg.Hurry = log, warn, hurry
	if !f.noUI {
		cfg.Out = stdout
	}
	_, err = env.agent(ctx, cfg)
	return err
}

// config is the configuration that the flags ask for.
func (f *runFlags) config(ctx context.Context) (agent.Config, error) {
	address, err := parseProxyAddress(ctx, f.proxyAddress)
	if err != nil {
		return agent.Config{}, usage(fmt.Sprintf("--proxy-address `%s` %v", f.proxyAddress, err), "it must be like 127.0.0.1:3180, localhost:3180 or http://127.0.0.1:3180")
	}
	set, err := upstream.Parse(f.upstreams)
	if err != nil {
		return agent.Config{}, usage(fmt.Sprintf("--upstream %v", err), "")
	}
	if f.stealth {
		f.transparent.value = string(agent.On)
	}
	if f.transparent.value == string(agent.On) && !set.Intercepts() {
		return agent.Config{}, usage("--transparent on needs --upstream, which says which connections", "`--upstream '*'` means all of them")
	}
	for f.seed == 0 {
		f.seed = uint64(rand.Uint32())
	}
	return agent.Config{
		Version:     version,
		Proxy:       address,
		Upstreams:   set,
		Transparent: agent.Transparent(f.transparent.value),
		Cgroup:      f.cgroup,
		Seed:        f.seed,
		Duration:    time.Duration(f.duration),
		Tail:        f.tail,
	}, nil
}

// parseProxyAddress takes host:port, with a name or an address, or a URL of
// them: the Chaos Toolkit extension hands on the variable as one.
func parseProxyAddress(ctx context.Context, text string) (netip.AddrPort, error) {
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil {
			return netip.AddrPort{}, errors.New("is not a URL")
		}
		text = u.Host
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, errors.New("is not host:port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, errors.New("has a port that is not 0 to 65535")
	}
	if host == "localhost" { // known without asking anybody
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		if err != nil || len(addrs) == 0 {
			return netip.AddrPort{}, errors.New("names a host without an IPv4 address")
		}
		addr = addrs[0]
	}
	if addr = addr.Unmap(); !addr.Is4() {
		return netip.AddrPort{}, errors.New("is not IPv4, which callers of both families can reach")
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// explainRun says what the host refused.
func explainRun(err error) (message, hint string) {
	var listen *agent.ListenError
	var intercept *agent.InterceptError
	var setting *agent.SettingError
	switch {
	case errors.As(err, &listen):
		if errors.Is(err, syscall.EADDRINUSE) {
			next := netip.AddrPortFrom(listen.Address.Addr(), listen.Address.Port()+1)
			hint = fmt.Sprintf("take another with `--proxy-address %v` (port 0 takes a free one)", next)
		}
		return listen.Error(), hint
	case errors.As(err, &setting):
		return setting.Error(), setting.Hint
	case errors.As(err, &intercept):
		return intercept.Error(), intercept.Hint
	}
	return err.Error(), ""
}
