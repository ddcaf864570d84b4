package proxy

import "github.com/faultproxy/fault/faults"

// lose notes that a link has gone dark: it lets nothing arrive any more, not
// even its end.
func (t *tunnel) lose(which faults.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dark == [2]bool{} {
		close(t.lost)
	}
	t.dark[which] = true
}

// noted notes what has become of a link, and ends the flow if nobody is left.
func (t *tunnel) noted(what func(faults.Link) (abandoned bool), which faults.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if what(which) {
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
