//go:build !linux

package control

import (
	"context"

	"go.uber.org/zap"
)

// Serve answers nobody on this system: the error is [ErrUnsupported].
func Serve(int, Agent, *zap.Logger) (stop func(), err error) { return func() {}, ErrUnsupported }

// Agents cannot be found on this system.
func Agents(context.Context) ([]Peer, error) { return nil, ErrUnsupported }

// Ask reaches nobody on this system.
func (p Peer) Ask(context.Context, Verb) (Reply, error) { return Reply{}, ErrUnsupported }

// Gone is not known on this system.
func (p Peer) Gone(context.Context) error { return ErrUnsupported }
