//go:build !linux

package callers

import (
	"context"
	"errors"

	"github.com/faultproxy/fault/bpf"
)

// Finder does not exist on this system; its methods are never reached.
type Finder struct{}

// NewFinder fails.
func NewFinder(Set) (*Finder, error) { return nil, errors.ErrUnsupported }

func (f *Finder) Close()                                          {}
func (f *Finder) Changes(bool) bool                               { return false }
func (f *Finder) Attach() string                                  { return "" }
func (f *Finder) Find(context.Context, bool) (bpf.Targets, error) { return bpf.Targets{}, nil }
func (f *Finder) Selected() ([]Match, map[int]bool, error)        { return nil, nil, nil }
func (f *Finder) Netns(Selector) (string, bool)                   { return "", false }

// Units are none here.
func Units() []string { return nil }

// Containers are none here.
func Containers() []string { return nil }
