//go:build !linux

package proxy

import "net"

// tellAddress is not asked for here: the system chooses what answers come from.
func tellAddress(*net.UDPConn) error { return nil }

func answerFrom([]byte) string { return "" }
