//go:build !linux

package proxy

import "time"

// alarm is nothing here: the runtime's timers have to do.
type alarm struct{}

type wait struct{ reached chan struct{} }

func newAlarm(Clock, time.Duration) (*alarm, error) { return nil, nil }

func (a *alarm) close() error { return nil }

func (a *alarm) add(time.Duration) *wait { return nil }

func (a *alarm) remove(*wait) {}
