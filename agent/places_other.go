//go:build !linux

package agent

import (
	"context"
	"errors"
)

// NamedNetns are none here.
func NamedNetns() []string { return nil }

// CheckNetns is not asked where nothing is intercepted.
func CheckNetns(string) error { return nil }

func openPlaces([]namespace) ([]*place, []namespace, error) { return nil, nil, errors.ErrUnsupported }

func (i *interception) join(context.Context, namespace, func(*place)) (bool, error) {
	return false, errors.ErrUnsupported
}

func (i *interception) elsewhere(string) (uint64, bool) { return 0, false }
