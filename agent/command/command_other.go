//go:build !linux

package command

import (
	"errors"
	"os"
)

// Command does not exist on this system; a nil one is none.
type Command struct{ args []string }

func newCommand(_ string, args []string) *Command { return &Command{args} }

// Name is the command without its arguments.
func (c *Command) Name() string { return c.args[0] }

// Args is the command with its arguments.
func (c *Command) Args() []string { return c.args }

// Prepare fails: only Linux can affect a command alone.
func (c *Command) Prepare(string) error { return errors.ErrUnsupported }

func (c *Command) Folder() string            { return "" }
func (c *Command) Start()                    {}
func (c *Command) Ended() <-chan struct{}    { return nil }
func (c *Command) Forward(os.Signal) bool    { return false }
func (c *Command) Signals() <-chan os.Signal { return nil }
func (c *Command) Exit() (int, bool)         { return 0, false }
func (c *Command) Code() (int, error)        { return 0, nil }
func (c *Command) Close()                    {}

// Keep fails.
func Keep(string) error { return errors.ErrUnsupported }
