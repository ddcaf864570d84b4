//go:build unix

package parent

import (
	"os"
	"time"
)

// askEvery is how often it is asked who the parent is, where nothing tells.
const askEvery = 250 * time.Millisecond

// poll returns when a process is our parent no longer.
func poll(pid int) {
	for os.Getppid() == pid {
		time.Sleep(askEvery)
	}
}
