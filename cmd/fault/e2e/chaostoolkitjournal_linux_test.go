package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/event"
)

// journal is what the toolkit writes of an experiment.
type journal struct {
	Status    string     `json:"status"`
	Deviated  bool       `json:"deviated"`
	Run       []activity `json:"run"`
	Rollbacks []activity `json:"rollbacks"`
	// log is what it wrote meanwhile.
	log string
}

// activity is one of the things that it did.
type activity struct {
	Activity struct {
		Name     string `json:"name"`
		Provider struct {
			Func string `json:"func"`
		} `json:"provider"`
	} `json:"activity"`
	Status string          `json:"status"`
	Output json.RawMessage `json:"output"`
}

func (e *experiment) journal(t *testing.T) *journal {
	t.Helper()
	var j journal
	if err := json.Unmarshal([]byte(readFile(t, e.path)), &j); err != nil {
		t.Fatal(err)
	}
	j.log = readFile(t, filepath.Join(e.k.dir, "chaos.log"))
	return &j
}

// completed wants a good end, and each activity to have succeeded.
func (j *journal) completed(t *testing.T) {
	t.Helper()
	if j.Status != "completed" || j.Deviated {
		t.Errorf("it has %s, deviated: %t", j.Status, j.Deviated)
	}
	for _, a := range append(j.Run, j.Rollbacks...) {
		if a.Status != "succeeded" {
			t.Errorf("%s has %s", a.Activity.Name, a.Status)
		}
	}
}

// did are the activities that called a function of the extension.
func (j *journal) did(function string) []activity {
	var all []activity
	for _, a := range j.Run {
		if a.Activity.Provider.Func == function {
			all = append(all, a)
		}
	}
	return all
}

// proxy is what the only run of the proxy wrote, and said of itself at the end.
func (j *journal) proxy(t *testing.T) (stdout string, s event.Summary) {
	t.Helper()
	all := j.did("run_proxy")
	if len(all) != 1 || all[0].Status != "succeeded" {
		t.Fatalf("the proxy was run %d times: %+v\n%s", len(all), all, j.log)
	}
	return all[0].proxy(t)
}

func (a activity) proxy(t *testing.T) (stdout string, s event.Summary) {
	t.Helper()
	var code int
	var stderr string
	if err := json.Unmarshal(a.Output, &[]any{&code, &stdout, &stderr}); err != nil {
		t.Fatalf("%v: %s", err, a.Output)
	}
	if code != 0 || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	text := strings.TrimSuffix(stdout, "\n")
	return stdout, decode(t, text[strings.LastIndex(text, "\n")+1:]+"\n").summary(t)
}

// probed is the standard output of a program that was an activity.
func (a activity) probed(t *testing.T) string {
	t.Helper()
	var output struct {
		Status         int
		Stdout, Stderr string
	}
	if err := json.Unmarshal(a.Output, &output); err != nil {
		t.Fatalf("%v: %s", err, a.Output)
	}
	if output.Status != 0 {
		t.Errorf("%s: exit %d: %s", a.Activity.Name, output.Status, output.Stderr)
	}
	return output.Stdout
}
