package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/faults"
)

// faultFlags are the flags of one fault: those that all faults have, and its
// settings.
type faultFlags struct {
	name     string // in its flags
	variable string // in its variables
	title    string // of its section in the help
	does     string // as --with-NAME says it
	more     string // about it
	answers  bool   // instead of shaping: it has neither side nor direction
	connects bool   // it is about making connections: nor has that
	settings settings

	on              bool
	side, direction word
	sched           schedule
	probability     number
}

// settings are the flags that only one fault has.
type settings interface {
	// add adds them.
	add(section)
	// fault is the fault that they ask for, on some links.
	fault(links faults.Links, line *commandLine) (faults.Fault, error)
}

// addFaultFlags adds the flags of all faults, in the order in which pieces
// meet them.
func addFaultFlags(cmd *cobra.Command) []*faultFlags {
	all := []*faultFlags{
		{
			name: "connect-error", variable: "CONNECT_ERROR", title: "Connect error", does: "have connections fail", connects: true, settings: newConnectErrorSettings(),
			more: "The upstream hears nothing of them. A client that waits in connect(2) itself is told what the kernel would have told it.",
		},
		{
			name: "latency", variable: "LATENCY", title: "Latency", does: "delay what is sent", settings: newLatencySettings(),
			more: "The first bytes of a connection, or of a request to the proxy, wait for a draw from the distribution, counted from their arrival. " +
				"What comes behind them waits no longer than that.",
		},
		{
			name: "jitter", variable: "JITTER", title: "Jitter", does: "delay a piece now and then", settings: newJitterSettings(),
			more: "A piece waits for a time between 0 and the amplitude, all equally likely. Order is kept.",
		},
		{
			name: "packet-loss", variable: "PACKET_LOSS", title: "Packet loss", does: "lose packets; TCP sends them again, later", settings: newPacketLossSettings(),
			more: "A segment that is lost arrives 200 ms later, if that gets lost, too, after 400 ms more, and so on; everything behind it waits. " +
				"Bytes are never lost or altered, but for datagrams of a UDP mapping.",
		},
		{
			name: "blackhole", variable: "BLACKHOLE", title: "Blackhole", does: "let nothing arrive any more", settings: blackholeSettings{},
			more: "Neither bytes nor the end of the stream nor a reset arrive, and CONNECT, or a connect(2) that itself waits for the upstream, gets no answer. " +
				"When its schedule ends, what was sent meanwhile arrives, and so do answers.",
		},
		{
			name: "bandwidth", variable: "BANDWIDTH", title: "Bandwidth", does: "limit the rate of each connection", settings: newBandwidthSettings(),
			more: "Each link of each connection is a line of that rate; a sender that is faster is held back. Datagrams that find the line full are lost.",
		},
		{
			name: "http-response", variable: "HTTP_FAULT", title: "HTTP response", does: "answer plain HTTP requests, which the server does not get", answers: true, settings: newHTTPResponseSettings(),
			more: "It works wherever a request of HTTP/1 can be seen: on the proxy, in CONNECT, in mappings and on intercepted connections. TLS and HTTP/2 hide it.",
		},
		{
			name: "reset", variable: "RESET", title: "Reset", does: "reset connections, at both ends", settings: newResetSettings(),
			more: "Both ends see `connection reset by peer`. Datagrams know no connections, and pass.",
		},
		{
			name: "truncate", variable: "TRUNCATE", title: "Truncate", does: "end the stream too early", settings: newTruncateSettings(),
			more: "Who receives gets so many bytes and then the end of the stream. What is sent behind them is taken and discarded, " +
				"and the other direction goes on until it ends itself. Datagrams pass.",
		},
		{
			name: "slice", variable: "SLICE", title: "Slice", does: "send small pieces", settings: newSliceSettings(),
			more: "Each piece is a write of its own; bytes and their order are the same. Datagrams are never divided, and pass.",
		},
		{
			name: "slow-close", variable: "SLOW_CLOSE", title: "Slow close", does: "let the end of the stream arrive later", settings: newSlowCloseSettings(),
			more: "What is sent before the end is not delayed. Datagrams have no end, and pass.",
		},
	}
	for _, f := range all {
		f.add(section{cmd, f.title})
	}
	return all
}

func (f *faultFlags) add(s section) {
	more(s.toggle(&f.on, "with-"+f.name, f.does, "FAULT_WITH_"+f.variable), f.more)
	f.settings.add(s)
	f.side = word{value: "server", words: []string{"server", "client"}, means: map[string]string{
		"server": "where the proxy meets the server", "client": "where the proxy meets the client",
	}}
	f.direction = word{value: "ingress", words: []string{"ingress", "egress", "both"}, means: map[string]string{
		"ingress": "what the proxy receives there", "egress": "what the proxy sends there", "both": "both ways",
	}}
	if !f.answers && !f.connects {
		s.value(&f.side, f.name+"-side", "the proxy's side that is meant", "FAULT_"+f.variable+"_SIDE")
		s.value(&f.direction, f.name+"-direction", "the way on that side; server ingress is what clients receive", "FAULT_"+f.variable+"_DIRECTION")
	}
	s.value(&f.sched, f.name+"-sched", "when it is on; by default always", "FAULT_"+f.variable+"_SCHED")
	if f.connects {
		return // it has a probability of its own
	}
	variable := f.variable
	if f.answers {
		variable = "HTTP_RESPONSE" // the other is that of each request
	}
	f.probability = probability()
	s.value(&f.probability, f.name+"-probability", "the share of connections that it is for; by default all", "FAULT_"+variable+"_PROBABILITY")
}

// plan is the faults that the flags ask for.
func plan(all []*faultFlags, line *commandLine, duration time.Duration) ([]faults.Planned, error) {
	var planned []faults.Planned
	for _, f := range all {
		if !f.on {
			line.ignore("without --with-"+f.name, line.section(f.title)...)
			continue
		}
		fault, err := f.settings.fault(faults.LinksOf(faults.Side(f.side.value), faults.Direction(f.direction.value)), line)
		if err != nil {
			return nil, err
		}
		p := faults.Planned{Fault: fault}
		if flag := f.name + "-sched"; line.given(flag) {
			if p.Schedule, err = f.sched.parse(duration); err != nil {
				return nil, badValue(line.flags.Lookup(flag), err)
			}
		}
		if !f.connects && line.given(f.name+"-probability") {
			p.Probability = &f.probability.value
		}
		planned = append(planned, p)
	}
	return planned, nil
}

// invalid is what a fault says about settings that are each in their range.
func invalid(f faults.Fault, flag, value string) error {
	if err := f.Validate(); err != nil {
		return usage(fmt.Sprintf("--%s `%s`: %v", flag, value, err), "")
	}
	return nil
}
