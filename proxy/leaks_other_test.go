//go:build !linux

package proxy

import "testing"

// openDescriptors cannot be told here.
func openDescriptors(testing.TB) int { return 0 }
