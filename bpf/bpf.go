// Package bpf is the kernel's half of interception.
//
// Programs on a cgroup divert connect(2) of its processes to the agent's
// listener, remember where each connection was going, and answer
// getpeername(2) with that. An agent may have a listener in each of several
// network namespaces; connections of others are left alone. The programs are attached by bpf_links that are never
// pinned, so nothing outlives the process that holds them, however it ends.
//
//	i, err := bpf.Attach(bpf.Config{Proxy: addr, Rules: rules})
//	...
//	defer i.Close()
//	err = i.Serve(listener, netns) // from here on connections arrive
//	origin, ok, err := i.Origin(netns, conn.RemoteAddr(), conn.LocalAddr())
//
// Capabilities are needed to attach, and for nothing after that. So a user's
// agent whose file has them is two processes (privilege separation, as in
// OpenSSH): an [Attacher], a child with the capabilities that lives until the
// programs are attached, and the agent, which has dropped its own before it
// talks to anybody. What was attached comes to it as descriptors over a socket.
// The child does for it what it would do for whoever starts the program. Root's
// agent is one process and keeps what it has.
//
// A connect(2) that cannot be carried, or of which we are not sure, is left as
// it was and counted by [Verdict]. The package does not accept, dial, carry or
// log anything, and knows faults of no kind.
package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Rule is one --upstream pattern, as far as the kernel can decide it. A
// destination is intercepted if a rule names it and no Exclude rule does.
type Rule struct {
	// Prefix holds the addresses; an IPv4 prefix does not hold mapped IPv6.
	// The zero Prefix is every address.
	Prefix netip.Prefix
	// Port is the destination port; 0 is every port.
	Port uint16
	// Exclude takes the destination out whatever other rules say.
	Exclude bool
	// Loopback says that the rule is meant for loopback destinations, too.
	Loopback bool
	// DNS says that the rule is meant for TCP port 53, too.
	DNS bool
}

// NameRule is one --upstream pattern that is about names. Which addresses a name
// has, the kernel learns from DNS answers that programs get over UDP, before
// they connect, and from [Interception.SetAddresses].
type NameRule struct {
	// Name is a host's, or a domain's if Below says that those below it are
	// meant, and not the domain's own.
	Name  string
	Below bool
	// Port is the destination port; 0 is every port.
	Port uint16
	// Exclude takes the addresses out whatever other rules say, but for those
	// that other names have, too: see [Origin.Shared].
	Exclude bool
}

// Config says what to divert, and where to.
type Config struct {
	// Cgroup is a folder of a cgroup2 file system, or a path within the
	// mounted one ("/system.slice"). Sockets that are made in it and below are
	// looked at. Empty: the topmost cgroup that this process can see.
	Cgroup string
	// Proxy is the IPv4 address and port at which callers reach the listener
	// of their network namespace, the same in all that have one.
	Proxy netip.AddrPort
	// Rules say which destinations are diverted; none diverts nothing.
	Rules []Rule
	// Names say so by names; their ports differ in 64 ways at most.
	Names []NameRule
	// Targets says whose connects are diverted.
	Targets Targets
	// BlockQUIC refuses what would be counted as [QUIC], with EPERM, but at
	// addresses that are [Origin.Shared].
	BlockQUIC bool
}

// Targets says whose connects are diverted, by selectors of several kinds: those
// of processes that any of them selects, and that no exception names. With no
// selector it is everybody's. A selector that is nil is none; one that is empty
// selects nobody yet. It is the process that calls connect(2) which counts, and
// not where its socket was made.
type Targets struct {
	// Names are of processes, as /proc/PID/comm shows them, of which the kernel
	// keeps 15 bytes, or of the files that they run, without the folder. It does
	// not matter when a process starts, and which of its threads connects, under
	// which name. 63 bytes of a name are compared.
	Names []string
	// Files are those that processes run.
	Files []File
	// PIDs are processes, as the initial pid namespace numbers them, with the
	// children that they and those will have. See [Interception.Follows].
	PIDs []uint32
	// Users are the real ids of users.
	Users []uint32
	// Cgroups are ids of cgroups of version 2, with what is below them.
	Cgroups []uint64
	// CgroupNames are names of cgroups that will be made, wherever. See
	// [Interception.Follows].
	CgroupNames []string
	// ExceptNames and ExceptFiles are whose connects are not diverted, whatever
	// else says.
	ExceptNames []string
	ExceptFiles []File
}

// selects says whether there is a selector.
func (t *Targets) selects() bool {
	return t.Names != nil || t.Files != nil || t.PIDs != nil || t.Users != nil || t.Cgroups != nil || t.CgroupNames != nil
}

// File is one as the kernel tells it from others, by the device of its file
// system and its inode. See [FileAt].
type File struct {
	Dev uint32
	Ino uint64
}

// Origin is what the kernel knows of an intercepted connection.
type Origin struct {
	// Destination is where connect(2) was going; never a mapped address.
	Destination netip.AddrPort
	// Source is the address that the caller had bound, invalid if none.
	Source netip.Addr
	// Mark and TOS are the SO_MARK and the IP_TOS, or IPV6_TCLASS, of the
	// caller's socket.
	Mark uint32
	TOS  uint8
	// PID, TID and UID are the caller's as the initial namespaces see them.
	PID, TID, UID uint32
	// Thread is the name of the calling thread, up to 15 bytes; empty where
	// that may not be asked for.
	Thread string
	// Cgroup is the id of the caller's cgroup: the inode of its folder.
	Cgroup uint64
	// Netns is the inode of the network namespace.
	Netns uint64
	// IPv6 says that the caller's socket is an IPv6 one.
	IPv6 bool
	// ByName says that it was a [NameRule] that diverted the connection, and no
	// [Rule]; Shared that the address was seen to belong to names that would
	// not have done that, too.
	ByName, Shared bool
}

// Verdict is what became of a connect(2) call; the words are those of the
// closing summary.
type Verdict string

// The verdicts. Every one but Intercepted and QUICBlocked left the call as it
// was.
const (
	Intercepted Verdict = "intercepted"
	Agent       Verdict = "agent" // a socket of the agent, or a client of its listener
	NotMatched  Verdict = "upstream-not-matched"
	Excluded    Verdict = "excluded"
	NotTargeted Verdict = "not-targeted" // see [Config.Targets]; where no listener is, they are not counted
	UDP         Verdict = "udp"          // connected UDP sockets; others are seen for QUIC only
	Loopback    Verdict = "loopback"
	DNS         Verdict = "dns"
	LinkLocal   Verdict = "link-local"
	DeviceBound Verdict = "device-bound"
	SourceBound Verdict = "source-bound"
	IPv6Only    Verdict = "ipv6-only"
	IPv6Unknown Verdict = "ipv6-not-readable" // see [Interception.IPv6]
	OtherNetns  Verdict = "other-netns"
	Limit       Verdict = "limit" // the agent was paused
	MapFull     Verdict = "map-full"
	// OriginLost is a connection that was diverted although its destination
	// could not be filed. It is reset; the count should always be 0.
	OriginLost Verdict = "origin-lost"
	// QUIC is UDP to port 443, where a socket was connected or sent a datagram
	// to another peer than before. QUICBlocked is the same, but was refused.
	QUIC        Verdict = "quic"
	QUICBlocked Verdict = "quic-blocked"
)

// ErrMissing is why this host cannot intercept: a capability or a feature of
// the kernel is missing. Its text names it, and what would help.
var ErrMissing = errors.New("not on this host")

// MissingError is an [ErrMissing] with its parts.
type MissingError struct {
	// What is missing, as a sentence: "cap_bpf and cap_net_admin are missing".
	What string
	// Hint says what to do; it may be empty.
	Hint string
	// Err is what the kernel said; it may be nil.
	Err error
	// Cause is like Err, where What says it better: for logs only.
	Cause error
}

// Error gives What and the kernel's words.
func (e *MissingError) Error() string {
	if e.Err == nil {
		return e.What
	}
	return fmt.Sprintf("%s: %v", e.What, e.Err)
}

// Unwrap gives [ErrMissing] and the causes.
func (e *MissingError) Unwrap() []error {
	all := []error{ErrMissing}
	for _, err := range []error{e.Err, e.Cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// ProgramError is a program that the kernel's verifier does not accept.
type ProgramError struct {
	// Program is its name: "connect4".
	Program string
	// Reason is the verifier's last line, Omitted how many it said before.
	Reason  string
	Omitted int
	// Err is all that the library said.
	Err error
}

// Error names the program and the reason.
func (e *ProgramError) Error() string {
	text := fmt.Sprintf("the kernel refused our program `%s`: %s", e.Program, e.Reason)
	switch e.Omitted {
	case 0:
		return text
	case 1:
		return text + " (1 line omitted)"
	}
	return fmt.Sprintf("%s (%d lines omitted)", text, e.Omitted)
}

// Unwrap gives the library's error.
func (e *ProgramError) Unwrap() error { return e.Err }

// CgroupError is a [Config.Cgroup] that is not one.
type CgroupError struct {
	Path string
	Err  error
}

// Error names the path and the cause.
func (e *CgroupError) Error() string { return fmt.Sprintf("cgroup %s: %v", e.Path, e.Err) }

// Unwrap gives the cause.
func (e *CgroupError) Unwrap() error { return e.Err }

func joinWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
