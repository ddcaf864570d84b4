package agent

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy"
)

// hold has connect(2) wait for the answer of the upstream, if this host can do
// that; otherwise connections are accepted at once, and reset if the upstream
// turns out to be unreachable.
func (i *interception) hold(s *proxy.Server) error {
	if i.programs == nil {
		return nil
	}
	if i.accepts != nil {
		return nil
	}
	h, err := i.programs.Holder()
	if err != nil {
		return err
	}
	i.holder = h
	for _, p := range i.places {
		if err := h.Hold(p.listener, p.inode, p.raw); err != nil {
			return err
		}
	}
	go i.follow(h, s)
	return nil
}

// settle waits until no connection is held any more, or ctx ends.
func (i *interception) settle(ctx context.Context, s *proxy.Server) {
	if i.holder != nil {
		time.Sleep(backlogTime) // for those that were diverted a moment before
		s.Settle(ctx)
	}
}

// follow tells the proxy of the connections that are held, until h is closed.
func (i *interception) follow(h *bpf.Holder, s *proxy.Server) {
	for {
		held, err := h.Next()
		p := i.here(held.Netns())
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil:
			i.log.Error("wait for held connections", zap.Error(err))
			return
		case p == nil: // we have left it
		case held.Gone:
			s.Gone(p.proxy, held.Client)
		default:
			s.Hold(proxy.Held{
				Client: held.Client, Origin: p.intercepted(held.Origin),
				Admit:    func() error { return h.Admit(&held) },
				Withdraw: func() error { return h.Withdraw(&held) },
				Deny:     func(errno syscall.Errno) error { return deny(h, &held, errno) },
			})
		}
	}
}

// deny answers in the way that makes connect(2) fail with errno. The codes are
// those of ICMP's "destination unreachable" (RFC 792).
func deny(h *bpf.Holder, held *bpf.Held, errno syscall.Errno) error {
	const network, host = 0, 1
	switch errno {
	case syscall.ECONNREFUSED:
		return h.Refuse(held)
	case syscall.ENETUNREACH:
		return h.Unreachable(held, network)
	}
	return h.Unreachable(held, host)
}
