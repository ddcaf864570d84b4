package agent

import (
	"fmt"
	"sync"
	"time"

	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// tailRate is how many lines about flows a terminal gets in a second: nobody
// reads more.
const tailRate = 200

// tailLimit counts the lines of each second, and the flows that got none.
type tailLimit struct {
	second time.Time
	lines  int
	more   uint64
}

// next says whether there is room for one more line at a time. Before that line
// the rest of an earlier second is to be told.
func (l *tailLimit) next(now time.Time) (room bool, rest uint64) {
	rest = l.rest(now)
	if l.lines == tailRate {
		l.more++
		return false, rest
	}
	l.lines++
	return true, rest
}

// rest is how many flows got no line in a second that is over by now. It is
// told once.
func (l *tailLimit) rest(now time.Time) uint64 {
	second := now.Truncate(time.Second)
	if second.Equal(l.second) {
		return 0
	}
	more := l.more
	*l = tailLimit{second: second}
	return more
}

// tail writes lines about flows, as many as the reader can take.
type tail struct {
	mu    sync.Mutex
	limit tailLimit
}

// tailed writes a line about a flow of now. A pipe has room for all of them.
func (r *reporter) tailed(now time.Time, line func() string) {
	if r.cfg.Style.Columns == 0 {
		r.print(line())
		return
	}
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	room, rest := r.tail.limit.next(now)
	r.tellRest(rest)
	if room {
		r.print(line())
	}
}

// tailRest tells of the flows that got no line when their second is over, and
// returns when to look again.
func (r *reporter) tailRest(now time.Duration) time.Duration {
	if !r.cfg.Tail || r.cfg.Style.Columns == 0 {
		return faults.Never
	}
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	r.tellRest(r.tail.limit.rest(time.Now()))
	return now + time.Second
}

// tailEnd tells of them at the end of the run.
func (r *reporter) tailEnd() {
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	r.tellRest(r.tail.limit.more)
}

func (r *reporter) tellRest(n uint64) {
	switch n {
	case 0:
	case 1:
		r.print("… 1 more flow in this second\n")
	default:
		r.print(fmt.Sprintf("… %s more flows in this second\n", words.Count(n)))
	}
}
