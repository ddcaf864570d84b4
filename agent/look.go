package agent

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/bpf"
)

// lookTime is how often it is looked for what callers have become, as far as the
// kernel does not say so at once: a file at another's place, or a container.
const lookTime = 250 * time.Millisecond

// find finds the callers that are meant, and where to attach to meet them.
func (i *interception) find(ctx context.Context, cfg *Config) (targets bpf.Targets, attach string, err error) {
	if len(cfg.Callers) == 0 {
		return targets, "", nil
	}
	if i.finder, err = callers.NewFinder(cfg.Callers); err != nil {
		return targets, "", err
	}
	targets, err = i.finder.Find(ctx, false)
	return targets, i.finder.Attach(), err
}

// findAll finds what has become of them until the kernel began to tell of what
// comes.
func (i *interception) findAll(ctx context.Context) error {
	if i.finder == nil {
		return nil
	}
	err := i.findAgain(ctx)
	if err == nil {
		i.callers, _, err = i.finder.Selected()
	}
	return err
}

func (i *interception) findAgain(ctx context.Context) error {
	targets, err := i.finder.Find(ctx, i.programs.Follows() == nil)
	if err == nil {
		err = i.programs.SetTargets(targets)
	}
	return err
}

// looks goes on to look for callers, until ctx ends or stop is called. It warns of
// containers that are where nothing is intercepted.
func (i *interception) looks(ctx context.Context, set callers.Set, warn func(warning)) (stop func()) {
	if i.finder == nil || i.programs == nil || !i.finder.Changes(i.programs.Follows() == nil) {
		return func() {}
	}
	containers := set.Containers()
	told := make(map[callers.Selector]uint64) // the namespace of each that was told of
	return repeat(ctx, lookTime, func(ctx context.Context) {
		if err := i.findAgain(ctx); err != nil && ctx.Err() == nil {
			i.log.Warn("look for callers", zap.Error(err))
		}
		for _, c := range containers {
			path, ok := i.finder.Netns(c)
			if !ok {
				continue
			}
			if inode, is := i.elsewhere(path); is && told[c] != inode {
				told[c] = inode
				warn(warning{
					code: "container-netns",
					text: lines.Shown(c.String(), shownCaller) + " has a network namespace that is not one of this run: its connections are left alone",
					hint: "start the run when the container is there",
				})
			}
		}
	})
}
