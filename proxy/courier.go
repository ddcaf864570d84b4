package proxy

import (
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/faults"
)

// courier carries the datagrams of one link.
type courier struct {
	shaping
	send func([]byte) error
	hear func(until time.Duration)
	log  *zap.Logger

	hold time.Duration // until when a queue is full
	full int           // the fault whose queue that is
	last time.Duration // departure of the last

	unsent bool // something was left when the flow was cut off
}

func (a *association) courier(f *Flow, which faults.Link, send func([]byte) error) *courier {
	c := &courier{shaping: a.shape(f, which, a.chain(f, which, faults.Datagrams)), send: send, hear: a.hear, log: a.Log}
	c.stop = a.ctx.Done()
	c.queue = newLine(c.clock, c.life, c.store)
	return c
}

// take queues a datagram, or loses it. A flow is not silent while one is on its
// way.
func (c *courier) take(p datagram) {
	c.hear(p.at)
	if p.at < c.hold {
		c.lose([]faults.Effect{{Fault: c.full, Delay: faults.Never, Bytes: len(p.data)}})
		return
	}
	d := c.chain.Shape(p.at, len(p.data))
	c.hold, c.full = d.Hold, d.Full
	if d.Leave == faults.Never {
		c.lose(d.Effects)
		return
	}
	if c.queue.append(piece{data: p.data, leave: d.Leave, effects: d.Effects}) {
		c.last = d.Leave
		c.hear(d.Leave)
		signal(c.queue.filled)
	}
}

// lose tells of a datagram that does not go on, and so is not delayed either.
func (c *courier) lose(effects []faults.Effect) {
	for _, e := range effects {
		if e.Delay != faults.Never {
			e.Delay, e.Bytes = 0, 0
		}
		if e.Delay == 0 && e.Tried == 0 {
			continue
		}
		c.report(e, 0, c.clock.Now())
	}
}

// finish says that no more will be taken.
func (c *courier) finish() { c.queue.put(piece{leave: c.last, end: errStopped}) }

// carry sends each datagram at its time, until the last.
func (c *courier) carry() {
	defer c.queue.leave()
	for {
		p, err := c.queue.take()
		if err != nil {
			p, left := c.queue.head()
			c.unsent = left && p.end == nil
			return
		}
		if p.end != nil {
			return
		}
		if err := c.send(p.data); err != nil {
			c.log.Debug("send a datagram", zap.Error(err))
			continue
		}
		c.count(len(p.data))
		c.tell(p, c.clock.Now())
	}
}
