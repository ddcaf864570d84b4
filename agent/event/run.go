package event

// Change is a fault that went on or off.
type Change struct {
	Head
	ID          string   `json:"id"`
	State       string   `json:"state"` // "on" or "off"
	Cause       string   `json:"cause"` // "start", "schedule", "pause", "resume" or "end"
	OpenFlows   int64    `json:"open_flows"`
	NextChangeS *float64 `json:"next_change_s,omitempty"`
}

// Warning is what the user must know although the run goes on.
type Warning struct {
	Head
	Code string `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
	N    int    `json:"n"`
}

// Progress is the counters so far.
type Progress struct {
	Head
	OpenFlows int64 `json:"open_flows"`
	Flows     Flows `json:"flows"`
	Reasons
	Faults []Injected `json:"faults"`
}

// Summary is what happened: the last event, always.
type Summary struct {
	Head
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	Mode     string `json:"mode"`
	Reason   string `json:"reason"`
	ExitCode int    `json:"exit_code"`
	Seed     string `json:"seed"`
	Flows    Flows  `json:"flows"`
	Reasons
	OpenConnections  *int `json:"open_connections,omitempty"`
	ResetConnections *int `json:"reset_connections,omitempty"`
	// QUICBlocked is how often QUIC failed; absent if it passes.
	QUICBlocked   *uint64    `json:"quic_blocked,omitempty"`
	PausedS       float64    `json:"paused_s"`
	ToClientBytes uint64     `json:"to_client_bytes"`
	ToServerBytes uint64     `json:"to_server_bytes"`
	Faults        []Injected `json:"faults"`
	// OutputDropped is how many lines nobody read in time.
	OutputDropped uint64   `json:"output_dropped"`
	Replay        []string `json:"replay,omitempty"`
}

// Flows counts connections. Those that were met have ended.
type Flows struct {
	Met       uint64  `json:"met"`
	Matched   uint64  `json:"matched"`
	Passed    uint64  `json:"passed"`
	LeftAlone *uint64 `json:"left_alone,omitempty"`
	Errors    uint64  `json:"errors"`
	CutOff    uint64  `json:"cut_off"`
}

// Reasons are the parts of those counts; a part that is 0 is absent.
type Reasons struct {
	Passed    map[string]uint64 `json:"passed_by_reason"`
	LeftAlone map[string]uint64 `json:"left_alone_by_reason,omitempty"`
	Errors    map[string]uint64 `json:"errors_by_reason"`
}

// Injected is what one fault did in the whole run.
type Injected struct {
	ID    string   `json:"id"`
	Fault string   `json:"fault"`
	Links []string `json:"links,omitempty"`
	// OnS is how long it was on.
	OnS      float64  `json:"on_s"`
	Asked    Asked    `json:"asked"`
	Injected Measured `json:"injected"`
	// Late is how much longer than drawn its delays were.
	Late *Late `json:"late,omitempty"`
}

// Asked is the settings, and what follows from them.
type Asked struct {
	Settings
	// ExpectedMeanMS is the mean of what is drawn, if that has one: of a
	// normal distribution a little above its own, as no delay is negative.
	ExpectedMeanMS *float64 `json:"expected_mean_ms,omitempty"`

	P50MS *float64 `json:"p50_ms,omitempty"`
	P95MS *float64 `json:"p95_ms,omitempty"`
	P99MS *float64 `json:"p99_ms,omitempty"`
}

// Measured is what was done; each fault has some of it.
type Measured struct {
	N      *int64   `json:"n,omitempty"`
	MeanMS *float64 `json:"mean_ms,omitempty"`
	P50MS  *float64 `json:"p50_ms,omitempty"`
	P95MS  *float64 `json:"p95_ms,omitempty"`
	P99MS  *float64 `json:"p99_ms,omitempty"`
	MaxMS  *float64 `json:"max_ms,omitempty"`
	// BusiestSecondBytes is the most that one link of one flow carried in one
	// second, of the flows that have ended.
	BusiestSecondBytes *int64   `json:"busiest_second_bytes,omitempty"`
	WaitedMS           *float64 `json:"waited_ms,omitempty"`
	Packets            *uint64  `json:"packets,omitempty"`
	Lost               *uint64  `json:"lost,omitempty"`
	StallP50MS         *float64 `json:"stall_p50_ms,omitempty"`
	StallP99MS         *float64 `json:"stall_p99_ms,omitempty"`
	StallMaxMS         *float64 `json:"stall_max_ms,omitempty"`
	Flows              *uint64  `json:"flows,omitempty"`
	SwallowedBytes     *uint64  `json:"swallowed_bytes,omitempty"`
	Connects           *uint64  `json:"connects,omitempty"`
	Failed             *uint64  `json:"failed,omitempty"`
	Requests           *uint64  `json:"requests,omitempty"`
	Answered           *uint64  `json:"answered,omitempty"`
	Share              *float64 `json:"share,omitempty"`
	Pieces             *uint64  `json:"pieces,omitempty"`
}

// Late is percentiles in microseconds.
type Late struct {
	P50US int64 `json:"p50_us"`
	P95US int64 `json:"p95_us"`
	P99US int64 `json:"p99_us"`
	MaxUS int64 `json:"max_us"`
}
