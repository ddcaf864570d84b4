//go:build !linux

package proxy

import "time"

// alarm is nothing here: the runtime's timers have to do.
type alarm struct{}

func newAlarm(Clock, bool) (*alarm, error) { return nil, nil }

func (a *alarm) close() error { return nil }

func (a *alarm) at(time.Duration) (<-chan struct{}, func()) { return nil, nil }
