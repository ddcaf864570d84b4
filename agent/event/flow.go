package event

// Flow is a connection, or a request to the forward proxy: one event at its
// end, and one before if it is open for long.
type Flow struct {
	Head
	Flow  uint64 `json:"flow"`
	State string `json:"state"` // "open" or "ended"
	// Verdict is "matched" or "passed", and Reason why it was passed through.
	Verdict       string      `json:"verdict,omitempty"`
	Reason        string      `json:"reason,omitempty"`
	Error         string      `json:"error,omitempty"`
	LastedMS      float64     `json:"lasted_ms"`
	EnteredBy     string      `json:"entered_by"`
	Client        string      `json:"client,omitempty"`
	Process       *Process    `json:"process,omitempty"`
	Upstream      *Upstream   `json:"upstream,omitempty"`
	ToClientBytes *int64      `json:"to_client_bytes,omitempty"`
	ToServerBytes *int64      `json:"to_server_bytes,omitempty"`
	ClosedBy      string      `json:"closed_by,omitempty"` // "client", "upstream", "fault" or "end"
	Faults        []Injection `json:"faults,omitempty"`
	HTTP          *HTTP       `json:"http,omitempty"`
}

// Process is who connected, as the initial namespaces see it.
type Process struct {
	PID      uint32 `json:"pid"`
	Name     string `json:"name,omitempty"`
	UID      uint32 `json:"uid"`
	CgroupID uint64 `json:"cgroup_id,omitempty"`
	Netns    uint64 `json:"netns,omitempty"`
}

// Upstream is where a flow went, or was meant to go.
type Upstream struct {
	Host string `json:"host,omitempty"`
	IP   string `json:"ip,omitempty"`
	Port uint16 `json:"port,omitempty"`
	// MatchedBy is how it was known, of a connection that was intercepted, whether
	// faults are for it: "address", or "dns" for an address of a name. Where
	// several names have that, it is "sni" or "host", what the client said, or
	// "ambiguous" if it said nothing that tells.
	MatchedBy string `json:"matched_by,omitempty"`
}

// Injection is what one fault did to one link of a flow.
type Injection struct {
	ID   string `json:"id"`
	Link string `json:"link,omitempty"`
	// N pieces were held, for DelayMS together.
	N       *int     `json:"n,omitempty"`
	DelayMS *float64 `json:"delay_ms,omitempty"`
	MaxMS   *float64 `json:"max_ms,omitempty"`
	// DrawnMS is the first of the delays as they were drawn, LateUS the most
	// that one was longer than that.
	DrawnMS []float64 `json:"drawn_ms,omitempty"`
	LateUS  *int64    `json:"late_us,omitempty"`
	// Tried packets or requests were decided about, and Hit of them chosen. For
	// a reset or a truncated stream both are 1, for slices how many there were.
	Tried              *int   `json:"tried,omitempty"`
	Hit                *int   `json:"hit,omitempty"`
	SwallowedBytes     *int64 `json:"swallowed_bytes,omitempty"`
	BusiestSecondBytes *int64 `json:"busiest_second_bytes,omitempty"`
}

// HTTP is a response that a flow got.
type HTTP struct {
	Status int `json:"status"`
	// Injected says that it came from a fault.
	Injected bool `json:"injected"`
}
