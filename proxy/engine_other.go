//go:build !linux

package proxy

import (
	"context"
	"net"
	"syscall"

	"github.com/faultproxy/fault/proxy/mapping"
)

// engine is nothing here: every flow is carried by a [tunnel].
type engine struct{}

func newEngine(*Server) (*engine, error) { return nil, nil }

// Inherit does nothing here: each connection is set up when it is accepted.
func Inherit(string, string, syscall.RawConn) error { return nil }

func (e *engine) carry(*Flow, *net.TCPConn, *net.TCPConn, []byte) error { return nil }

func (e *engine) serveMapping(context.Context, *net.TCPListener, mapping.Mapping) (bool, error) {
	return false, nil
}

func (e *engine) ends() {}

func (e *engine) cutOff() {}

func (e *engine) close() {}
