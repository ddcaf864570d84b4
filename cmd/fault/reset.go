package main

import (
	"time"

	"github.com/faultproxy/fault/faults"
)

// resetSettings are the settings of the reset fault.
type resetSettings struct {
	bytes number
	after period
}

func newResetSettings() *resetSettings { return &resetSettings{bytes: byteCount()} }

func (f *resetSettings) add(s section) {
	more(s.value(&f.bytes, "reset-after-bytes", "when so many bytes have gone over a link", "FAULT_RESET_AFTER_BYTES"),
		"They arrive, and nothing behind them does. Side and direction say on which links bytes are counted, each by itself. "+
			"Of requests to the proxy it is the bytes of the body; with 0 there is no response at all.")
	more(s.value(&f.after, "reset-after", "when the connection is so old, whatever was sent", "FAULT_RESET_AFTER"),
		"With both, the first of them counts; with neither, the first byte.")
}

func (f *resetSettings) fault(links faults.Links, line *commandLine) (faults.Fault, error) {
	reset := faults.Reset{After: time.Duration(f.after), On: links}
	switch {
	case line.given("reset-after-bytes"):
		reset.AfterBytes = int64(f.bytes.value)
	case line.given("reset-after"):
		reset.AfterBytes, reset.On = faults.Unlimited, 0
		line.ignore("with --reset-after alone: it does not count bytes", "reset-side", "reset-direction")
	}
	return reset, nil
}

// byteCount is a number of bytes.
func byteCount() number { return whole("N", "a whole number of bytes, at least 0", 0, 1e15) }
