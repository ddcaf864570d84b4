package main

import (
	"errors"
	"fmt"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/proxy"
)

const delaysTitle = "Delays"

// delayFlags are about how delays are kept, whatever fault they are of.
type delayFlags struct {
	precise     bool
	link, total size
}

func addDelayFlags(cmd *cobra.Command) *delayFlags {
	f := &delayFlags{link: size(proxy.DefaultBuffers.Link), total: size(proxy.DefaultBuffers.Total)}
	s := section{cmd, delaysTitle}
	more(s.toggle(&f.precise, "precise", "be awake before a delay ends: exact, and costs processor time", "FAULT_PRECISE"),
		"A processor that sleeps takes 30 to 100 µs to wake up. With this, delays are late by a few µs instead, for up to 250 µs of a processor each, less where there are many. The summary says how late they were.")
	more(s.value(&f.link, "link-buffer", "what one direction of a connection may hold", "FAULT_LINK_BUFFER"),
		"Beyond it the sender is held back. 100 MB/s with a delay of 300 ms need 30 MB.")
	more(s.value(&f.total, "total-buffer", "what all connections together may hold", "FAULT_TOTAL_BUFFER"),
		"When that is used up, each direction of a connection may hold one piece of up to 64 KiB.")
	return f
}

// buffers says what may be held.
func (f *delayFlags) buffers(line *commandLine) (proxy.Buffers, error) {
	if f.total < f.link {
		return proxy.Buffers{}, usage(fmt.Sprintf("%s `%v` is less than %s `%v`",
			line.called("total-buffer"), &f.total, line.called("link-buffer"), &f.link), "")
	}
	return proxy.Buffers{Link: int64(f.link), Total: int64(f.total)}, nil
}

// size is a flag value: a number of bytes.
type size int64

// leastSize is what one read may bring.
const leastSize = 64 << 10

func (s *size) String() string { return units.BytesSize(float64(*s)) }
func (s *size) Type() string   { return "SIZE" }
func (s *size) takes() string  { return "such as 512KiB, 32MiB or 1GiB, at least 64KiB" }

func (s *size) Set(text string) error {
	n, err := units.RAMInBytes(text)
	if err != nil {
		return fmt.Errorf("`%s` must be a number of bytes, %s", text, s.takes())
	}
	if n < leastSize {
		return errors.New("must be at least 64KiB")
	}
	*s = size(n)
	return nil
}

func (s *size) complete(string) ([]string, cobra.ShellCompDirective) {
	return explained("a number of bytes " + s.takes())
}
