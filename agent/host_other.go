//go:build !linux

package agent

func processName(_, _ uint32, thread string) string { return thread }

// descriptorLimit is not asked for: nothing is intercepted that could be left
// alone.
func descriptorLimit() int64 { return 1 << 31 }

// ephemeralPorts is not asked for either.
func ephemeralPorts() int64 { return 1 << 16 }
