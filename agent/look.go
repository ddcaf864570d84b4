package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// looks goes on to look for callers, until ctx ends or stop is called. Where
// containers come to be in network namespaces of their own it intercepts there,
// too, and has serve accept; warn is told.
func (i *interception) looks(ctx context.Context, set callers.Set, serve func(*place), warn func(warning)) (stop func()) {
	if i.finder == nil || i.programs == nil || !i.finder.Changes(i.programs.Follows() == nil) {
		return func() {}
	}
	containers := set.Containers()
	refused := make(map[uint64]int) // how many times a namespace did
	return repeat(ctx, lookTime, func(ctx context.Context) {
		if err := i.findAgain(ctx); err != nil && ctx.Err() == nil {
			i.log.Warn("look for callers", zap.Error(err))
		}
		for _, c := range containers {
			path, ok := i.finder.Netns(c)
			if !ok {
				continue
			}
			inode, is := i.elsewhere(path)
			if !is {
				continue
			}
			joined, err := i.join(ctx, namespace{string(c.Kind), c.Value, path}, serve)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				if refused[inode]++; refused[inode] == patientLooks {
					warn(keptOut(c, err))
				}
			case joined:
				warn(warning{
					code: "netns-joined",
					text: fmt.Sprintf("the network namespace of %s is intercepted from now on", lines.Shown(c.String(), shownCaller)),
				})
			}
		}
	})
}

// patientLooks is how many times a namespace may refuse before that is told: while
// its container starts it is not ready yet.
const patientLooks = int(2 * time.Second / lookTime)

// keptOut says that nothing can be intercepted where a container is.
func keptOut(c callers.Selector, err error) warning {
	w := warning{
		code: "container-netns",
		hint: "start the run when the container is there",
	}
	if setting, ok := errors.AsType[*SettingError](err); ok {
		err = setting.Err
		if os.Geteuid() == 0 {
			w.hint = setting.Hint
		}
	}
	w.text = fmt.Sprintf("%s has a network namespace that is not one of this run, and its connections are left alone: %s",
		lines.Shown(c.String(), shownCaller), lines.Shown(err.Error(), shownError))
	return w
}
