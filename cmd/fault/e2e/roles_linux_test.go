package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// roleVariable makes this program a client that tests run in a namespace.
const roleVariable = "FAULT_E2E_ROLE"

// roles are the clients. They are told things by arguments and by lines on
// their standard input, whose end is theirs, too.
var roles = map[string]func(args []string) error{
	"fetch":   fetchPages,
	"connect": connectAgain,
	"visit":   visit,
	"flows":   openFlows,
	"crowd":   crowd,
	"steady":  exchangeSteadily,
	"upload":  upload,
	"ping":    ping,
	"churn":   churn,
	"reach":   reach,
}

func play(role string, args []string) {
	if err := roles[role](args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// role is this program as a client.
func role(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(cleanEnvironment(), roleVariable+"="+name)
	return cmd
}
