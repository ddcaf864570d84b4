package event

// Start says that everything is attached, and what it is.
type Start struct {
	Head
	Schema  int    `json:"schema"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// Mode is "transparent" or "explicit".
	Mode string `json:"mode"`
	// WhyExplicit is why connections are not intercepted that should be.
	WhyExplicit  string        `json:"why_explicit,omitempty"`
	Interception *Interception `json:"interception,omitempty"`
	// Listen is where clients ask for the proxy.
	Listen   string    `json:"listen,omitempty"`
	Mappings []Mapping `json:"mappings"`
	// HTTPUpstreamOverride is where all that they ask for goes.
	HTTPUpstreamOverride string   `json:"http_upstream_override,omitempty"`
	Upstreams            []string `json:"upstreams"`
	Seed                 string   `json:"seed"`
	DurationS            float64  `json:"duration_s,omitempty"`
	// OpenConnections is how many match and are not affected, as they were open
	// before; OpenBy is the largest groups of them.
	OpenConnections *int       `json:"open_connections,omitempty"`
	OpenBy          []Existing `json:"open_by,omitempty"`
	// ResetConnections is how many were reset; absent if none should be.
	ResetConnections *int `json:"reset_connections,omitempty"`
	// StartedBy is the process with which the run ends.
	StartedBy *Starter `json:"started_by,omitempty"`
	Faults    []Fault  `json:"faults"`
}

// Existing is connections of one process to one upstream that were open before
// the run.
type Existing struct {
	// Process has them; of several the oldest. It is absent if that is not known.
	Process  *Holder `json:"process,omitempty"`
	Upstream string  `json:"upstream"`
	N        int     `json:"n"`
}

// Holder is a process that has a connection.
type Holder struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

// Starter is a process that has started the run, itself or by others.
type Starter struct {
	PID int `json:"pid"`
	// Name is absent if it is not known.
	Name string `json:"name,omitempty"`
}

// Interception says whose connections are diverted.
type Interception struct {
	// Cgroup is the only caller, if that is one; else the topmost cgroup that can
	// be seen.
	Cgroup string `json:"cgroup"`
	// Netns is the number of the agent's own network namespace; absent if others
	// are intercepted, and that is not.
	Netns uint64 `json:"netns,omitempty"`
	// Namespaces are all that are, if they were asked for.
	Namespaces []Namespace `json:"namespaces,omitempty"`
	// Callers are whose connections are meant; none is everybody's.
	Callers []Caller `json:"callers,omitempty"`
	// Process or PID is the only caller, if there is one of the two.
	Process string `json:"process,omitempty"`
	PID     uint32 `json:"pid,omitempty"`
	IPv4    bool   `json:"ipv4"`
	IPv6    bool   `json:"ipv6"`
	// QUIC is "pass" or "block".
	QUIC string `json:"quic"`
	// HoldsSYN says that connect(2) waits for the upstream's answer.
	HoldsSYN bool `json:"holds_syn"`
}

// Namespace is a network namespace: the name that it was asked for by, or "self"
// for the agent's own, and its number.
type Namespace struct {
	Name  string `json:"name"`
	Netns uint64 `json:"netns"`
}

// Caller is a selector of processes.
type Caller struct {
	// Kind is the flag without dashes, or "command", which the run has started.
	Kind  string `json:"kind"`
	Value string `json:"value"`
	// Present says that what it names is there, as a unit is without processes.
	Present bool `json:"present"`
	// Processes is how many it selects at the start.
	Processes *int `json:"processes,omitempty"`
}

// Mapping is a listener for one target.
type Mapping struct {
	Listen string `json:"listen"`
	Target string `json:"target"`
	// Carries is "bytes", "requests" or "datagrams".
	Carries string `json:"carries"`
	TLS     bool   `json:"tls"`
}

// Fault is one fault of the plan.
type Fault struct {
	// ID is its name, numbered if there are several of that name.
	ID       string   `json:"id"`
	Fault    string   `json:"fault"`
	Links    []string `json:"links,omitempty"`
	Settings Settings `json:"settings"`
	Schedule []Period `json:"schedule"`
}

// Settings is what a fault was asked to do; each has some of them.
type Settings struct {
	Distribution  string   `json:"distribution,omitempty"`
	MeanMS        *float64 `json:"mean_ms,omitempty"`
	StdDevMS      *float64 `json:"stddev_ms,omitempty"`
	MinMS         *float64 `json:"min_ms,omitempty"`
	MaxMS         *float64 `json:"max_ms,omitempty"`
	ScaleMS       *float64 `json:"scale_ms,omitempty"`
	Shape         *float64 `json:"shape,omitempty"`
	Per           string   `json:"per,omitempty"`  // "flow" or "read-write"
	On            string   `json:"on,omitempty"`   // "connect", "data" or "both"
	Kind          string   `json:"kind,omitempty"` // how connecting fails
	RateBytesPerS *float64 `json:"rate_bytes_per_s,omitempty"`
	AmplitudeMS   *float64 `json:"amplitude_ms,omitempty"`
	FrequencyHz   *float64 `json:"frequency_hz,omitempty"`
	Model         string   `json:"model,omitempty"` // "five-state" or "rate"
	Status        int      `json:"status,omitempty"`
	Share         *float64 `json:"share,omitempty"`
	// AfterBytes or AfterS is when the connection, or the stream, ends.
	AfterBytes *int64   `json:"after_bytes,omitempty"`
	AfterS     *float64 `json:"after_s,omitempty"`
	// Pieces have SizeBytes, give or take VariationBytes.
	SizeBytes      int      `json:"size_bytes,omitempty"`
	VariationBytes *int     `json:"variation_bytes,omitempty"`
	DelayMS        *float64 `json:"delay_ms,omitempty"`
	// Probability is the share of flows that the fault is for; absent is all.
	Probability *float64 `json:"probability,omitempty"`
}

// Period is when a fault is on; without end if the run has none.
type Period struct {
	StartS float64  `json:"start_s"`
	EndS   *float64 `json:"end_s,omitempty"`
}
