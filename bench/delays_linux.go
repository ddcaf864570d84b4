package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/faultproxy/fault/bench/load"
)

// latency are the flags that delay each piece to the client.
func latency(delay time.Duration) []string {
	return []string{"--with-latency", "--latency-mean", number(milliseconds(delay)), "--latency-stddev", "0",
		"--latency-per-read-write", "--latency-on", "data"}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// lateness is rows 9 and 10: what the measured program says itself of how exact
// it was, idle and with many delays under way.
func lateness(b *bench) error {
	return b.withServer(func(*bed) error {
		for _, precise := range []bool{false, true} {
			row, what, p50, p99 := "9", "lateness of a delay, ", atMost(80, 45), atMost(300, 150)
			if precise {
				row, what, p50, p99 = "10", "with --precise, ", atMost(5, 0.5), atMost(100, 40)
			}
			if !b.wants(row) {
				continue
			}
			for _, outstanding := range []bool{false, true} {
				where := what + "idle"
				if outstanding {
					where = what + "10 000 outstanding"
				}
				worst, err := b.latest(where, outstanding, precise)
				if err != nil {
					return err
				}
				b.judge(row, where+", p50", worst.P50, "µs", p50)
				b.judge(row, where+", p99", worst.P99, "µs", p99)
			}
		}
		return nil
	})
}

// latest is the worst of the delays, each the median of its rounds.
func (b *bench) latest(what string, outstanding, precise bool) (worst late, err error) {
	delays := []time.Duration{500 * time.Microsecond, 10 * time.Millisecond, 300 * time.Millisecond}
	var order []target
	p50s, p99s, around := make(series), make(series), make(series)
	for range b.rounds {
		order = nil
		for _, delay := range delays {
			late, under, err := b.late(delay, outstanding, precise)
			if err != nil {
				return worst, fmt.Errorf("%s, %v: %w", what, delay, err)
			}
			name := delay.String()
			order = append(order, target{name: name})
			p50s[name] = append(p50s[name], late.P50)
			p99s[name] = append(p99s[name], late.P99)
			around[name] = append(around[name], under)
		}
	}
	b.note(what+", p50", "µs", order, p50s)
	b.note(what+", p99", "µs", order, p99s)
	if outstanding {
		b.note("messages under way meanwhile", "", order, around)
	}
	for _, t := range order {
		worst.P50 = max(worst.P50, p50s.median(t.name))
		worst.P99 = max(worst.P99, p99s.median(t.name))
	}
	return worst, nil
}

// late measures one delay, and tells how many others were under way. Those are
// jittered on their way to the server, where nothing else is late.
func (b *bench) late(delay time.Duration, outstanding, precise bool) (late, float64, error) {
	const other, via = "127.0.0.1:9002", "127.0.0.1:4120"
	flags := append(latency(delay), "--disable-http-proxy", "--proxy-address", "127.0.0.1:0", "--proxy", faultAddress+"="+behind(faultAddress))
	if precise {
		flags = append(flags, "--precise")
	}
	job := load.Job{Mode: load.Probe, To: faultAddress, Window: b.lasting(time.Second)}
	if outstanding {
		// Each flow sends ten a second, so that eight or so are under way.
		amplitude := b.lasting(1100 * time.Millisecond)
		job.Flows, job.Via, job.Behind, job.WarmUp = 1300, via, other, amplitude+b.lasting(100*time.Millisecond)
		if b.short {
			job.Flows = 20
		}
		flags = append(flags, "--proxy", via+"="+other, "--with-jitter", "--jitter-direction", "egress",
			"--jitter-amplitude", number(milliseconds(amplitude)), "--jitter-frequency", "20")
	}
	var result load.Result
	s, err := b.withAgent(b.fault(flags...), func() (err error) {
		result, err = b.do(job, nil)
		return err
	})
	if err != nil {
		return late{}, 0, err
	}
	wanted := int64(200)
	if b.short {
		wanted = 1
	}
	l, err := s.late("latency", wanted)
	return l, float64(result.Outstanding), err
}

// excess is row 11.
func excess(b *bench) error {
	for _, delay := range []time.Duration{time.Millisecond, 5 * time.Millisecond} {
		err := b.withServer(func(on *bed) error {
			if err := on.mapping(ours, faultAddress, latency(delay)...); err != nil {
				return err
			}
			if err := on.peer(toxiproxyPeer); err != nil {
				return err
			}
			if on.targets[len(on.targets)-1].name == toxiproxy {
				if err := addToxic(delay); err != nil {
					return err
				}
			}
			over, err := b.over(on.targets, load.Job{Mode: load.Messages}, delay)
			if err != nil {
				return err
			}
			b.judge("11", fmt.Sprintf("excess over %v, 64 flows, p50, against toxiproxy", delay),
				over.ratio(ours, toxiproxy), "", atMost(0.5, 0.33))
			// For comparison: where messages are rare, all that is awake is woken
			// for them.
			_, err = b.over(on.targets, load.Job{Mode: load.Paced, Interval: 100 * time.Millisecond}, delay)
			if err != nil {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// over is how much longer than the delay messages took to come back, of 64
// flows.
func (b *bench) over(targets []target, job load.Job, delay time.Duration) (series, error) {
	job.Flows, job.WarmUp, job.Window = 64, b.lasting(200*time.Millisecond), delay+b.lasting(600*time.Millisecond)
	r, err := b.compareJob(targets, job)
	if err != nil {
		return nil, err
	}
	over := make(series)
	for name, all := range r.of(p50) {
		for _, took := range all {
			if name != direct {
				took -= microseconds(delay)
			}
			over[name] = append(over[name], took)
		}
	}
	b.note(fmt.Sprintf("excess over %v, 64 flows, %s, p50", delay, job.Mode), "µs", targets, over)
	return over, nil
}

// addToxic has toxiproxy delay what goes to the client.
func addToxic(delay time.Duration) error {
	text, err := json.Marshal(map[string]any{
		"type": "latency", "stream": "downstream", "attributes": map[string]any{"latency": delay.Milliseconds(), "jitter": 0},
	})
	if err != nil {
		return err
	}
	client := http.Client{Timeout: readyWithin}
	url := fmt.Sprintf("http://%s/proxies/%s/toxics", toxiproxyControl, toxic)
	return eventually(func() error { // it carries before it takes orders
		resp, err := client.Post(url, "application/json", bytes.NewReader(text))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("add a toxic: %s", resp.Status)
		}
		return nil
	})
}
