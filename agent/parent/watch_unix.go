//go:build unix && !linux

package parent

import (
	"os"
	"os/signal"
	"syscall"
)

// Watch watches the parent, for as long as this process lasts. It watches
// nobody if SIGHUP is ignored: who starts a program so, as nohup does, wants
// it to stay.
func Watch() *Starters {
	s := newStarters()
	pid := os.Getppid()
	if pid <= 1 || signal.Ignored(syscall.SIGHUP) {
		return s
	}
	s.all = []Process{{PID: pid}}
	go func() {
		poll(pid)
		s.end()
	}()
	return s
}
