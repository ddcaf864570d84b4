package main

import "github.com/faultproxy/fault/faults"

// truncateSettings are the settings of the truncate fault.
type truncateSettings struct{ bytes number }

func newTruncateSettings() *truncateSettings { return &truncateSettings{byteCount().byDefault(0)} }

func (f *truncateSettings) add(s section) {
	more(s.value(&f.bytes, "truncate-after-bytes", "how many bytes arrive before; with 0 the end comes instead of the first", "FAULT_TRUNCATE_AFTER_BYTES"),
		"Of requests to the proxy it is the bytes of the body; with 0 there is no response at all.")
}

func (f *truncateSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	return faults.Truncate{AfterBytes: int64(f.bytes.value), On: links}, nil
}
