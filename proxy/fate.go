package proxy

import (
	"errors"

	"github.com/faultproxy/fault/faults"
)

// fate is what has become of a flow's two links so far, and what that means
// for the flow. Its owner locks it, if it has to be.
type fate struct {
	over     bool
	answered bool    // the link to the client has carried all
	left     bool    // the client has ended the stream
	dark     [2]bool // by link, whether nothing arrives any more
	ends     uint8   // links that are done
	endedBy  End     // who was the first to
	err      error   // why the flow failed, once it is over
	broke    error   // why a link was done, if not by its end of stream
}

// first notes who ended the flow, if nobody had.
func (f *fate) first(e End) {
	if f.endedBy == "" {
		f.endedBy = e
	}
}

// carried notes that a link has carried all that its src said. True means that
// nobody is left to tell: see [fate.drained].
func (f *fate) carried(which faults.Link) (abandoned bool) {
	if which == faults.ToClient {
		f.first(EndUpstream)
		f.answered = true
		return false
	}
	f.first(EndClient)
	f.left = true
	return f.dark != [2]bool{}
}

// cut notes that a fault has ended a link. What the client says to half an
// answer is no failure.
func (f *fate) cut(which faults.Link) {
	f.first(EndFault)
	if which == faults.ToClient {
		f.answered = true
	}
}

// ended counts a link that is done, and says whether both are. If its dst is
// gone, err says why.
func (f *fate) ended(err error) (both bool) {
	f.ends++
	if err != nil && f.broke == nil {
		f.broke = err
	}
	return f.ends == 2
}

// drained notes that the src of a link has ended, of which its dst does not
// hear. True means that the flow is over: with a dark link it ends when the
// client does, as nobody else is there to tell that it has.
func (f *fate) drained(which faults.Link) (abandoned bool) {
	if which != faults.ToServer && !f.left {
		return false
	}
	f.first(EndClient)
	return true
}

// finish notes that the flow is over, and why.
func (f *fate) finish(err error) {
	f.over = true
	// Once the server has said all, some clients still say goodbye to it, and
	// are answered with a reset. Nothing failed.
	switch {
	case err == faults.ErrReset: // which is as it was to be
		f.first(EndFault)
	case !f.answered || errors.Is(err, ErrEnded):
		f.err = err
	}
}
