//go:build !linux

package bpf

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// Interception does not exist on this system; the methods are never reached.
type Interception struct{}

// Check fails with an error that is [ErrMissing] and errors.ErrUnsupported.
func Check() error {
	return &MissingError{What: runtime.GOOS + " cannot intercept, only Linux can", Err: errors.ErrUnsupported}
}

// Attach fails as [Check] does.
func Attach(Config) (*Interception, error) { return nil, Check() }

// Attacher does not exist on this system; its methods are never reached.
type Attacher struct{}

// Privileged is false: there are no capabilities.
func Privileged() bool { return false }

// NeededLater is nil: there are no capabilities.
func NeededLater() error { return nil }

// DropCapabilities has nothing to drop.
func DropCapabilities() error { return nil }

// StartAttacher fails as [Check] does.
func StartAttacher(...string) (*Attacher, error) { return nil, Check() }

// ServeAttacher fails as [Check] does.
func ServeAttacher() error { return Check() }

func (a *Attacher) Attach(context.Context, Config) (*Interception, error) { return nil, Check() }
func (a *Attacher) Close()                                                {}

// Holder does not exist on this system; its methods are never reached.
type Holder struct{}

// Held does not exist on this system.
type Held struct {
	Client, Proxy netip.AddrPort
	Gone          bool
	Origin        Origin
}

func (h *Holder) Next() (Held, error)                   { return Held{}, errors.ErrUnsupported }
func (h *Holder) Admit(*Held) error                     { return errors.ErrUnsupported }
func (h *Holder) Withdraw(*Held) error                  { return errors.ErrUnsupported }
func (h *Holder) Refuse(*Held) error                    { return errors.ErrUnsupported }
func (h *Holder) Unreachable(*Held, uint8) error        { return errors.ErrUnsupported }
func (h *Holder) Hold(syscall.Conn, uint64, *Raw) error { return errors.ErrUnsupported }
func (h *Holder) Leave(uint64) error                    { return nil }
func (h *Holder) Close() error                          { return nil }
func (i *Interception) Holder() (*Holder, error)        { return nil, errors.ErrUnsupported }

// Netns is 0.
func (h *Held) Netns() uint64 { return 0 }

// Raw does not exist on this system.
type Raw struct{}

// OpenRaw fails with errors.ErrUnsupported.
func OpenRaw() (*Raw, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (r *Raw) Close() error { return nil }

// VerifierLog has nothing to tell here.
func VerifierLog(error) string { return "" }

// SetAddresses does nothing.
func (i *Interception) SetAddresses(string, []netip.Addr) error { return nil }

// SetRules does nothing.
func (i *Interception) SetRules([]Rule) error { return nil }

// SetTargets does nothing.
func (i *Interception) SetTargets(Targets) error { return nil }

func (i *Interception) Follows() error                               { return errors.ErrUnsupported }
func (i *Interception) Cgroup() string                               { return "" }
func (i *Interception) IPv6() error                                  { return errors.ErrUnsupported }
func (i *Interception) Learns() error                                { return errors.ErrUnsupported }
func (i *Interception) Serve(syscall.Conn, uint64) error             { return errors.ErrUnsupported }
func (i *Interception) Pause(syscall.Conn) error                     { return errors.ErrUnsupported }
func (i *Interception) Exempt(string, string, syscall.RawConn) error { return nil }
func (i *Interception) Stop() error                                  { return nil }
func (i *Interception) Close() error                                 { return nil }
func (i *Interception) Counts() (map[Verdict]uint64, error)          { return nil, nil }
func (i *Interception) Sweep(time.Duration) (int, error)             { return 0, nil }
func (i *Interception) Origin(uint64, netip.AddrPort, netip.AddrPort) (Origin, bool, error) {
	return Origin{}, false, nil
}
