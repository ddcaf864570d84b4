package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/bench/load"
)

const (
	// beside is what runs where the measured program intercepts something else.
	beside = "beside fault"
	// elsewhere is where it does not.
	elsewhere = "without"
)

// untouched is rows 1 and 2. Two cgroups differ in that the measured program has
// its programs at one. So small a difference takes many rounds, which are short:
// what else the host does then falls on both alike.
func untouched(b *bench) error {
	return onOneCPU(func() error {
		return b.withServer(func(*bed) error {
			return b.withCgroup(func(attached *os.File) error {
				return b.withCgroup(func(plain *os.File) error {
					agent, err := below(attached, b.fault("--transparent", "on", "--proxy-address", "127.0.0.1:0",
						"--with-latency", "--latency-mean", "300", "--upstream", "192.0.2.0/24"))
					if err != nil {
						return err
					}
					_, err = b.withAgent(agent, func() error {
						if err := differ(attached, plain); err != nil {
							return err
						}
						return b.besides(map[string]*os.File{beside: attached, elsewhere: plain})
					})
					return err
				})
			})
		})
	})
}

// below has a program take a cgroup for the topmost one: it is in that, and sees
// none above.
func below(cgroup *os.File, cmd *exec.Cmd) (*exec.Cmd, error) {
	root, err := cgroup2()
	if err != nil {
		return nil, err
	}
	// The kernel takes no file system twice in the same place.
	const inside = `umount -l "$0" && mount -t cgroup2 none "$0" && exec "$@"`
	args := append([]string{"--cgroup", "--mount", "sh", "-c", inside, root, cmd.Path}, cmd.Args[1:]...)
	cmd = exec.Command("unshare", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	return cmd, nil
}

// differ makes sure that connect(2) runs one program more in a cgroup than in
// another.
func differ(attached, plain *os.File) error {
	var runs [2]int
	for i, cgroup := range []*os.File{plain, attached} {
		found, err := link.QueryPrograms(link.QueryOptions{
			Target: int(cgroup.Fd()), Attach: ebpf.AttachCGroupInet4Connect, QueryFlags: unix.BPF_F_QUERY_EFFECTIVE,
		})
		if err != nil {
			return fmt.Errorf("look for the programs at %s: %w", cgroup.Name(), err)
		}
		runs[i] = len(found.Programs)
	}
	if runs[0]+1 != runs[1] {
		return fmt.Errorf("%d programs are at %s, and %d at %s: want one more there", runs[0], plain.Name(), runs[1], attached.Name())
	}
	return nil
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
				agent := b.fault("--transparent", "on", "--cgroup", dir.Name(), "--proxy-address", "127.0.0.1:0",
					"--with-latency", "--latency-mean", "1", "--upstream", serverAddress)
				began := time.Now()
				s, err := b.withAgent(agent, func() error {
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
