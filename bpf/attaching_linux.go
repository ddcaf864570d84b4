package bpf

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ServeAttacher is an attacher's side. It returns once it has answered, or
// nobody wants an answer any more; it ends the process at once when the one
// that started it has ended.
func ServeAttacher() error {
	conn, err := connOf(3)
	if err != nil {
		return errors.New("there is nobody to attach programs for: `fault run` starts this by itself")
	}
	defer conn.Close()
	// The user may not trace this process, even if its capabilities are ambient.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	var o order
	if err := json.NewDecoder(conn).Decode(&o); err != nil {
		return nil // not wanted any more
	}
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		os.Exit(1)
	}()
	i, err := Attach(o.config())
	if err != nil {
		return json.NewEncoder(conn).Encode(outcome{Err: toWire(err)})
	}
	return i.send(conn)
}
