package agent

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/proxy/upstream"
)

// refreshTime is how often names are looked up during a run.
const refreshTime = 5 * time.Second

// refreshes looks names up again and again, until ctx ends or stop is called.
// What a name gets later is meant, too, and what it had stays meant: programs
// go on using it.
func (i *interception) refreshes(ctx context.Context, set upstream.Set) (stop func()) {
	if i.programs == nil || names(set) == 0 {
		return func() {}
	}
	return repeat(ctx, refreshTime, func(ctx context.Context) {
		found, hosts, err := resolved(ctx, i.resolver(), set)
		if err == nil {
			i.learn(found)
			err = i.tell(hosts)
		}
		if err != nil && ctx.Err() == nil {
			i.log.Warn("look the names up again", zap.Error(err))
		}
	})
}

// learn adds to what is meant.
func (i *interception) learn(found upstream.Set) {
	before := *i.meant.Load()
	meant := slices.Clone(before)
	for _, p := range found {
		if !slices.Contains(meant, p) {
			meant = append(meant, p)
		}
	}
	if len(meant) > len(before) {
		i.meant.Store(&meant)
	}
}

// tell gives the kernel the addresses of names.
func (i *interception) tell(hosts map[string][]netip.Addr) error {
	for host, addrs := range hosts {
		if err := i.programs.SetAddresses(host, addrs); err != nil {
			return err
		}
	}
	return nil
}
