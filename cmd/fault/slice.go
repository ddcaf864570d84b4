package main

import "github.com/faultproxy/fault/faults"

// sliceSettings are the settings of the slice fault.
type sliceSettings struct{ size, variation, delay number }

func newSliceSettings() *sliceSettings {
	const most = 1 << 20
	return &sliceSettings{
		whole("N", "a whole number of bytes, 1 to 1048576", 1, most).byDefault(100),
		whole("N", "a whole number of bytes, below the size", 0, most).byDefault(0),
		milliseconds().byDefault(0),
	}
}

func (f *sliceSettings) add(s section) {
	s.value(&f.size, "slice-size", "how many bytes a piece has on average", "FAULT_SLICE_SIZE")
	s.value(&f.variation, "slice-size-variation", "how many more or less it has at most", "FAULT_SLICE_SIZE_VARIATION")
	s.value(&f.delay, "slice-delay", "the least time from one piece to the next", "FAULT_SLICE_DELAY")
}

func (f *sliceSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	slice := faults.Slice{Size: int(f.size.value), Variation: int(f.variation.value), Delay: f.delay.duration(), On: links}
	return slice, invalid(slice, "slice-size-variation", f.variation.text)
}
