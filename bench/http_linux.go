package main

import (
	"fmt"
	"time"

	"github.com/faultproxy/fault/bench/load"
)

// pages is the rows of HTTP forwarding, for clients that ask for a proxy.
func pages(b *bench) error {
	err := b.withProxies(func(targets []target) error {
		const flows = 16
		r, err := b.compareJob(targets, load.Job{
			Mode: load.Requests, Via: pageAddress, Flows: flows,
			WarmUp: b.lasting(100 * time.Millisecond), Window: b.lasting(500 * time.Millisecond),
		})
		if err != nil {
			return err
		}
		perSecond := r.of(rate)
		what := fmt.Sprintf("HTTP requests, %d at once", flows)
		b.note(what, "1/s", targets, perSecond)
		b.judge(rowHTTP, what+", against the best of three", perSecond.ratioToBest(ours, targetNames(httpPeers), higher), "", ahead(true))
		return nil
	})
	if err != nil {
		return err
	}
	return onOneCPU(func() error {
		return b.withProxies(func(targets []target) error {
			r, err := b.compareJob(targets, load.Job{
				Mode: load.Requests, Via: pageAddress, Flows: 1,
				WarmUp: b.lasting(100 * time.Millisecond), Window: b.lasting(500 * time.Millisecond),
			})
			if err != nil {
				return err
			}
			took := r.of(p50)
			b.note("HTTP request, p50, one CPU", "µs", targets, took)
			extra := make(series)
			for _, t := range targets {
				extra[t.name] = differences(took[t.name], took[direct])
			}
			b.judge(rowHTTP, "HTTP request, p50 added, against the best of three",
				extra.ratioToBest(ours, targetNames(httpPeers), lower), "", ahead(false))
			return nil
		})
	})
}

// ahead is a goal of being better than all others, and nothing more.
func ahead(isMore bool) goal { return goal{isMore, 1, 1} }

// withProxies has the proxies up, and the server as a target, which takes the
// same requests.
func (b *bench) withProxies(f func([]target) error) error {
	return b.withServer(func(on *bed) error {
		const address = "127.0.0.1:4110"
		err := on.start(on.fault("--no-ui", "--proxy-address", address), target{name: ours, address: address})
		for _, p := range httpPeers {
			if err == nil {
				err = on.peer(p)
			}
		}
		if err != nil {
			return err
		}
		on.targets[0].address = pageAddress
		return f(on.targets)
	})
}
