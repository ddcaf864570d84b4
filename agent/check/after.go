package check

// Remains is what is there of fault.
type Remains struct {
	// Clean says that nothing is, and that this is known.
	Clean bool `json:"clean"`
	// Why it is not; empty if it is.
	Why    string  `json:"why,omitempty"`
	Probes []Probe `json:"probes"`
}

// remains judges what was looked at.
func remains(probes ...Probe) Remains {
	r := Remains{Clean: true, Probes: probes}
	for _, p := range probes {
		if p.State == OK {
			continue
		}
		r.Clean = false
		switch {
		case p.State == Found:
			r.Why = p.Name + " are there"
			return r
		case r.Why == "":
			r.Why = "of " + p.Name + " it is not known"
		}
	}
	return r
}
