package load

import (
	"fmt"
	"time"
)

// Job is what one client does, all of it within a bounded time.
type Job struct {
	Mode Mode `json:"mode"`
	// To is the IPv4 address and port to connect to.
	To string `json:"to"`
	// Flows is how many connections are open at once.
	Flows int `json:"flows,omitempty"`
	// Down has the server send in bulk, instead of the client.
	Down bool `json:"down,omitempty"`
	// Interval is the time between two paced messages of a flow.
	Interval time.Duration `json:"interval,omitempty"`
	// Via is the address whose page requests ask for, or which leads the other
	// flows of a probe to Behind, where the job itself listens.
	Via    string `json:"via,omitempty"`
	Behind string `json:"behind,omitempty"`
	// WarmUp passes before Window, in which is measured.
	WarmUp time.Duration `json:"warm_up,omitempty"`
	Window time.Duration `json:"window,omitempty"`
	// PID is the process whose costs are measured, with its children; 0 is none.
	PID int `json:"pid,omitempty"`
}

// Mode is a kind of traffic.
type Mode string

// The kinds of traffic.
const (
	// Bulk is as many bytes as possible, one way.
	Bulk Mode = "bulk"
	// Messages are sent, 64 bytes each, when the last one has come back.
	Messages Mode = "messages"
	// Paced messages are sent at their time.
	Paced Mode = "paced"
	// Connections are opened, used for one byte each way, and closed.
	Connections Mode = "connections"
	// Requests are of HTTP, on connections that are kept.
	Requests Mode = "requests"
	// Idle connections have carried one byte each way and stay open.
	Idle Mode = "idle"
	// Stuffed is a connection whose server does not read.
	Stuffed Mode = "stuffed"
	// Connects are calls of connect(2) by a UDP socket, StreamConnects by TCP
	// sockets.
	Connects       Mode = "UDP connects"
	StreamConnects Mode = "TCP connects"
	// Probe is one flow of messages from the server, which somebody else
	// measures, beside Flows others.
	Probe Mode = "probe"
)

// Result is what a job has measured: of each field, only if the mode has it.
type Result struct {
	// PerSecond counts bytes, messages, connections or requests.
	PerSecond float64 `json:"per_second,omitempty"`
	// P50 and P99 are what one of them took.
	P50 time.Duration `json:"p50,omitempty"`
	P99 time.Duration `json:"p99,omitempty"`
	// CPU is the seconds that PID computed for each of them.
	CPU float64 `json:"cpu,omitempty"`
	// Memory and Descriptors are what PID holds for each idle connection: bytes
	// that are resident, and open files.
	Memory      float64 `json:"memory,omitempty"`
	Descriptors float64 `json:"descriptors,omitempty"`
	// Bytes is what was taken of a sender.
	Bytes int64 `json:"bytes,omitempty"`
	// Outstanding is how many messages were under way at the end.
	Outstanding int64 `json:"outstanding,omitempty"`
}

// patience bounds each wait for the other side.
const patience = 5 * time.Second

// Do does the job.
func (j Job) Do() (Result, error) {
	do, ok := map[Mode]func(Job) (Result, error){
		Bulk: bulk, Messages: messages, Paced: paced, Connections: connections, Requests: requests,
		Idle: idle, Stuffed: stuffed, Connects: connects, StreamConnects: streamConnects, Probe: probe,
	}[j.Mode]
	if !ok {
		return Result{}, fmt.Errorf("no mode %q", j.Mode)
	}
	r, err := do(j)
	if err != nil {
		return r, fmt.Errorf("%s to %s: %w", j.Mode, j.To, err)
	}
	return r, nil
}

// dialAll opens the connections of the job and has the server do what the
// command says.
func (j Job) dialAll(command byte) ([]int, error) {
	fds := make([]int, 0, j.Flows)
	for range j.Flows {
		fd, err := dial(j.To)
		if err == nil {
			fds = append(fds, fd)
			err = write(fd, []byte{command})
		}
		if err != nil {
			closeAll(fds)
			return nil, err
		}
	}
	return fds, nil
}
