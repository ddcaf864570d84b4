package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/proxy/mapping"
	"github.com/faultproxy/fault/proxy/upstream"
)

// trafficFlags are the flags that say which connections come to us, and how.
type trafficFlags struct {
	upstreams    patterns
	transparent  word
	stealth      bool
	callers      *callerFlags
	command      bool // that is run, and so a caller, too
	proxyAddress listenAddress
	noProxy      bool
	mappings     mappings
	override     target
}

func addTrafficFlags(cmd *cobra.Command) *trafficFlags {
	f := &trafficFlags{
		transparent: word{
			value: string(agent.Auto), words: []string{string(agent.Auto), string(agent.On), string(agent.Off)}, kind: "WHEN",
			means: map[string]string{
				string(agent.Auto): "intercept if this host lets us, else explicit only",
				string(agent.On):   "intercept, or end",
				string(agent.Off):  "explicit only",
			},
		},
	}
	if err := f.proxyAddress.Set("127.0.0.1:3180"); err != nil {
		panic(err)
	}
	s := section{cmd, "Traffic"}
	more(s.add(cmd.Flags().VarPF(&f.upstreams, "upstream", "u", "* host host:port *.host CIDR !pattern; repeatable"), []string{"FAULT_UPSTREAMS"}),
		"It says which connections go through the faults, and, where connections are intercepted, which are diverted at all. "+
			"Without it nothing is intercepted, and all that comes to the proxy goes through the faults. `fault help upstreams` has the patterns.")
	more(s.value(&f.transparent, "transparent", "intercept: auto, on or off (explicit only)", "FAULT_TRANSPARENT"),
		"With `auto` connections are intercepted if there is an upstream and this host lets us; else the start page says why not. "+
			"With `on` the run ends where they cannot be. With `off` there is only the proxy, for clients that ask for it.")
	more(s.toggle(&f.stealth, "stealth", "the same as --transparent on", "FAULT_ENABLE_STEALTH"),
		"It is the word of the original.")
	more(s.value(&f.proxyAddress, "proxy-address", "listen here; port 0 is any", "FAULT_HTTP_PROXY_ADDRESS", "FAULT_PROXY_ADDRESS"),
		"Clients that ask for a proxy find it here: HTTP, forward and CONNECT. It is where intercepted connections are diverted to, too. "+
			"The address is one of IPv4; a name and a URL with host and port are understood.")
	more(s.toggle(&f.noProxy, "disable-http-proxy", "turn away clients that ask for a proxy", "FAULT_DISABLE_HTTP_PROXY"),
		"What is left is interception and the mappings of `--proxy`.")
	more(s.value(&f.mappings, "proxy", "a mapping, as 9090=https://host; repeatable", "FAULT_PROXY_MAPPINGS"),
		"Opens a listener whose clients get to one target. LISTEN is a port, `host:port`, `http:9090` (each request is a flow) or `udp:5353`. "+
			"TARGET is `host:port` or a URL of http, https, tls, psql or psqls; with https, tls and psqls we speak TLS to it. "+
			"In the variable mappings are separated by spaces or commas.")
	more(s.value(&f.override, "http-upstream-override", "where all proxied requests go", "FAULT_HTTP_UPSTREAM_OVERRIDE"),
		"Whatever clients of the proxy ask for, under the `Host` that they named. Without a scheme, port 443 is https.")
	f.callers = addCallerFlags(cmd)
	return f
}

// check looks at the flags together, and settles what they leave open.
func (f *trafficFlags) check(line *commandLine) error {
	if err := f.resolveStealth(line); err != nil {
		return err
	}
	if err := f.checkInterception(line); err != nil {
		return err
	}
	if f.noProxy && len(f.mappings) == 0 && !f.intercepts() {
		return usage(fmt.Sprintf("%s leaves nothing to do: there is no --proxy, and nothing is intercepted", line.called("disable-http-proxy")),
			"`--proxy 9090=https://example.com` is a mapping; `--upstream '*'` intercepts")
	}
	if f.noProxy {
		line.ignore("with --disable-http-proxy", "http-upstream-override")
	}
	return nil
}

// intercepts says whether connections are to be intercepted.
func (f *trafficFlags) intercepts() bool {
	return f.transparent.value != string(agent.Off) && upstream.Set(f.upstreams).Intercepts()
}

// resolveStealth makes --stealth what it stands for. What was given on the
// command line wins over a variable.
func (f *trafficFlags) resolveStealth(line *commandLine) error {
	if !f.stealth {
		return nil
	}
	same := line.byFlag("stealth") == line.byFlag("transparent")
	switch {
	case !line.given("transparent") || !same && line.byFlag("stealth"):
		f.transparent.value = string(agent.On)
	case same && f.transparent.value != string(agent.On):
		return usage(fmt.Sprintf("%s means `--transparent on`, but %s is `%s`", line.called("stealth"), line.called("transparent"), &f.transparent),
			"leave out one of the two")
	}
	return nil
}

// checkInterception wants upstreams for what is to be intercepted. Who is told
// which processes are meant, and to intercept, takes all that they connect to.
func (f *trafficFlags) checkInterception(line *commandLine) error {
	if f.transparent.value == string(agent.Off) {
		line.ignore("with --transparent off", f.callers.flags()...)
		return nil
	}
	if upstream.Set(f.upstreams).Intercepts() {
		return nil
	}
	narrowed := f.callers.given(line)
	on := f.transparent.value == string(agent.On)
	intercept := "--transparent on"
	if f.stealth {
		intercept = line.called("stealth")
	}
	switch {
	case (narrowed != "" || f.command) && on:
		return f.upstreams.Set("*")
	case narrowed != "":
		return usage(line.called(narrowed)+" needs --upstream, which says which connections", "`--upstream '*'` means all of them; so does `--transparent on` here")
	case on:
		return usage(intercept+" needs --upstream, which says which connections", "`--upstream '*'` means all of them")
	}
	return nil
}

// patterns is a flag value: upstreams.
type patterns upstream.Set

func (p *patterns) String() string { return upstream.Set(*p).String() }
func (p *patterns) Type() string   { return "PATTERN" }

// GetSlice is for cobra, which then offers the flag again.
func (p *patterns) GetSlice() []string { return strings.Split(p.String(), ",") }

func (p *patterns) Set(text string) error {
	set, err := upstream.Parse([]string{text})
	*p = append(*p, set...)
	return err
}

// mappings is a flag value.
type mappings []mapping.Mapping

func (m *mappings) Type() string   { return "LISTEN=TARGET" }
func (m *mappings) String() string { return strings.Join(m.GetSlice(), " ") }

func (m *mappings) takes() string {
	return "such as 9090=https://example.com, 15432=psql://db or udp:5353=10.0.0.2:53"
}

func (m *mappings) Set(text string) error {
	parsed, err := mapping.Parse(text)
	if err != nil {
		return fmt.Errorf("`%s` %w", text, err)
	}
	*m = append(*m, parsed)
	return nil
}

func (m *mappings) GetSlice() []string {
	var texts []string
	for _, one := range *m {
		texts = append(texts, one.String())
	}
	return texts
}

func (m *mappings) split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) })
}
