package parent

import "golang.org/x/sys/unix"

// relays are programs that run another one, wait for it, and are nothing else.
// Those that become the other one, such as env, nice and setpriv, are not seen.
var relays = map[string]bool{
	"sudo": true, "doas": true, "su": true, "runuser": true, "pkexec": true, "sg": true,
	"timeout": true, "time": true, "flock": true, "script": true, "strace": true,
	"nsenter": true, "unshare": true,
}

// strangers are parents that did not start us, or that did in order to leave
// us: a user's systemd gets the orphans as init does, and the others do not
// wait.
var strangers = map[string]bool{
	"systemd": true,
	"setsid":  true, "daemonize": true, "start-stop-daemon": true,
}

// highest bounds a climb.
const highest = 64

// kin is what a climb is to know of a process.
type kin struct {
	parent, group int
	name          string
	ignoresHangup bool
}

// climb calls hold for each process that is to be watched, the parent first,
// until hold returns an error. Look fails for a process that cannot be seen;
// it does not for ourselves. The error is that of hold, or ESRCH if a process
// ended while it was looked at.
func climb(self int, look func(pid int) (kin, bool), hold func(Process) error) error {
	pid := self
	child, _ := look(self)
	asked := child // the last that is no relay: those have signals of their own
	for range highest {
		parent, seen := look(child.parent)
		if child.parent <= 1 || seen && isLeft(pid == self, asked, child, parent) {
			return nil
		}
		if err := hold(Process{PID: child.parent, Name: parent.name}); err != nil {
			return err
		}
		// Its number may be another one's by now.
		if again, ok := look(pid); ok && again.parent != child.parent {
			return unix.ESRCH
		}
		if !seen {
			return nil
		}
		pid, child = child.parent, parent
		if !relays[parent.name] {
			asked = parent
		}
	}
	return nil
}

// isLeft says whether a process is to stay when its parent ends. Asked is the
// process itself, or what it runs if it is a relay.
func isLeft(ours bool, asked, child, parent kin) bool {
	switch {
	case strangers[parent.name]:
		return true
	case relays[parent.name]:
		return false
	case asked.ignoresHangup && !parent.ignoresHangup:
		return true
	case relays[child.name] || parent.group == child.group:
		return false
	}
	return !ours || child.ignoresHangup
}
