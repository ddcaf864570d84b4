//go:build !linux

package proxy

import (
	"context"
	"net"

	"github.com/faultproxy/fault/proxy/mapping"
)

// engine is nothing here: every flow is carried by a [tunnel].
type engine struct{}

func newEngine(*Server) (*engine, error) { return nil, nil }

func (e *engine) carry(*Flow, *net.TCPConn, *net.TCPConn, []byte) error { return nil }

func (e *engine) serveMapping(context.Context, *net.TCPListener, mapping.Mapping) (bool, error) {
	return false, nil
}

func (e *engine) ends() {}

func (e *engine) cutOff() {}

func (e *engine) close() {}
