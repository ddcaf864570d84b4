package agent

import (
	"errors"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/style"
)

// TestHidden wants an agent into which others cannot look to say so.
func TestHidden(t *testing.T) {
	tc := scenes(t)["everything"]
	const note = "keeps its capabilities, so other programs of this user cannot look into it"
	said := func() (page bool, warned bool) {
		for _, w := range tc.scene.warnings(tc.cfg) {
			warned = warned || w.code == "hidden" && strings.Contains(w.text, note+": it has to") && w.shown
		}
		return strings.Contains(startPage(tc.cfg, &tc.scene, style.Style{}), "\n  note        "+note+": it has to\n"), warned
	}
	if page, warned := said(); page || warned {
		t.Errorf("said %t, warned %t, of an agent that others can see", page, warned)
	}
	tc.scene.hidden = hiddenText(errors.New("it has to"))
	if page, warned := said(); !page || !warned {
		t.Errorf("said %t, warned %t, want both", page, warned)
	}
}
