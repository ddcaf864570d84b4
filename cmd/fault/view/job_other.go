//go:build !linux && !darwin

package view

import "os"

// IgnoreStops does nothing: no terminal stops a process here.
func IgnoreStops() {}

func draws(string) bool          { return true }
func inForeground(*os.File) bool { return true }
func inBackground(*os.File) bool { return false }
func discardInput(*os.File)      {}
