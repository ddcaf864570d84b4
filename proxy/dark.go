package proxy

import "github.com/faultproxy/fault/faults"

// lose notes that a link has gone dark: it lets nothing arrive any more, not
// even its end. The flow then ends when the client does: nobody else is there
// to tell that it has.
func (t *tunnel) lose(which faults.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dark == [2]bool{} {
		close(t.lost)
	}
	t.dark[which] = true
}

// drained notes that the src of a link has ended, of which its dst does not
// hear.
func (t *tunnel) drained(which faults.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if which == faults.ToServer || t.left {
		t.first(EndClient)
		t.abandon()
	}
}

// abandon ends a flow with a dark link, once the client has left.
func (t *tunnel) abandon() {
	if t.over {
		return
	}
	t.over = true
	close(t.stop)
	reset(t.client.stream) // whoever is still there has not seen the end
	if t.dark[faults.ToServer] {
		reset(t.upstream.stream)
	} else {
		t.upstream.Close()
	}
}
