//go:build !linux

package proxy

import "testing"

// openDescriptors cannot be told here.
func openDescriptors(*testing.T) int { return 0 }
