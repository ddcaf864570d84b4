package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/faultproxy/fault/bench/load"
)

const (
	// beside is what runs where the measured program intercepts something else.
	beside = "beside fault"
	// elsewhere is where it does not.
	elsewhere = "without"
)

// untouched is rows 1 and 2. Two cgroups differ in that the measured program is
// attached to one. So small a difference takes many rounds, which are short: what
// else the host does then falls on both alike.
func untouched(b *bench) error {
	return onOneCPU(func() error {
		return b.withServer(func(*bed) error {
			return b.withCgroup(func(attached *os.File) error {
				return b.withCgroup(func(plain *os.File) error {
					flags := []string{"--transparent", "on", "--cgroup", attached.Name(), "--proxy-address", "127.0.0.1:0",
						"--with-latency", "--latency-mean", "300", "--upstream", "192.0.2.0/24"}
					_, err := b.withAgent(flags, func() error {
						return b.besides(map[string]*os.File{beside: attached, elsewhere: plain})
					})
					return err
				})
			})
		})
	})
}

func (b *bench) besides(cgroups map[string]*os.File) error {
	targets := []target{{name: elsewhere, address: serverAddress}, {name: beside, address: serverAddress}}
	measure := func(job load.Job) (results, error) {
		job.WarmUp, job.Window = b.lasting(10*time.Millisecond), b.lasting(30*time.Millisecond)
		return compare(b.times(20), targets, func(t target) (load.Result, error) {
			job.To = t.address
			return b.do(job, cgroups[t.name])
		})
	}

	if b.wants("1") {
		for _, mode := range []load.Mode{load.Connects, load.StreamConnects} {
			r, err := measure(load.Job{Mode: mode})
			if err != nil {
				return err
			}
			took := r.of(func(r load.Result) float64 { return float64(r.P50) })
			b.note(fmt.Sprintf("%s that do not match, p50, one CPU", mode), "ns", targets, took)
			if mode == load.Connects { // the others do so much more that this is lost in it
				b.judge("1", "connect() that does not match, added", took.added(beside, elsewhere), "ns", atMost(200, 130))
			}
		}
	}
	if !b.wants("2") {
		return nil
	}
	for _, job := range []load.Job{
		{Mode: load.Connections, Flows: 1}, {Mode: load.Bulk, Flows: 1}, {Mode: load.Messages, Flows: 1},
	} {
		r, err := measure(job)
		if err != nil {
			return err
		}
		what, unit, perSecond := fmt.Sprintf("%s that do not match", job.Mode), "1/s", r.of(rate)
		if job.Mode == load.Bulk {
			what, unit, perSecond = "bulk that does not match", "GB/s", r.of(gbPerSecond)
		}
		b.note(what+", 1 flow, one CPU", unit, targets, perSecond)
		b.judge("2", what+", against no agent", perSecond.ratio(beside, elsewhere), "", atLeast(0.98, 1))
	}
	return nil
}

// starting is row 14. That it intercepts is seen by a connection that is made
// as soon as it says so.
func starting(b *bench) error {
	took := make(series)
	for range b.rounds {
		err := b.withServer(func(*bed) error {
			return b.withCgroup(func(dir *os.File) error {
				flags := []string{"--transparent", "on", "--cgroup", dir.Name(), "--proxy-address", "127.0.0.1:0",
					"--with-latency", "--latency-mean", "1", "--upstream", serverAddress}
				began := time.Now()
				s, err := b.withAgent(flags, func() error {
					took[ours] = append(took[ours], milliseconds(time.Since(began)))
					_, err := b.do(load.Job{Mode: load.Messages, To: serverAddress, Flows: 1, Window: time.Millisecond}, dir)
					return err
				})
				if err == nil && s.Flows.Matched == 0 {
					err = errors.New("it was ready, but has not intercepted the connection that followed")
				}
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	b.note("from exec to intercepting", "ms", []target{{name: ours}}, took)
	b.judge("14", "the whole agent started and intercepting, from exec", took.median(ours), "ms", atMost(150, 50))
	return nil
}
