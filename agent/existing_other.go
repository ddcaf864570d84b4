//go:build !linux

package agent

import (
	"context"
	"errors"
)

// These are asked for only where connections are intercepted.

func canReset() error { return errors.ErrUnsupported }

func meetExisting(context.Context, *Config, *interception) (*existing, error) { return nil, nil }
