package bpf

import "errors"

// wireError is an error as an attacher tells it: the kinds that callers of
// [Attach] tell apart stay what they are, others become their text.
type wireError struct {
	Text    string
	Log     string        // of the verifier
	Missing *MissingError // without its causes, as the others are
	Program *ProgramError
	Cgroup  *CgroupError
	Err     *wireError // theirs
	Cause   *wireError
}

func toWire(err error) *wireError {
	switch e := err.(type) {
	case nil:
		return nil
	case *MissingError:
		return &wireError{Missing: &MissingError{What: e.What, Hint: e.Hint}, Err: toWire(e.Err), Cause: toWire(e.Cause)}
	case *ProgramError:
		return &wireError{Program: &ProgramError{Program: e.Program, Reason: e.Reason, Omitted: e.Omitted}, Err: toWire(e.Err)}
	case *CgroupError:
		return &wireError{Cgroup: &CgroupError{Path: e.Path}, Err: toWire(e.Err)}
	}
	return &wireError{Text: err.Error(), Log: VerifierLog(err)}
}

func (w *wireError) error() error {
	switch {
	case w == nil:
		return nil
	case w.Missing != nil:
		w.Missing.Err, w.Missing.Cause = w.Err.error(), w.Cause.error()
		return w.Missing
	case w.Program != nil:
		w.Program.Err = w.Err.error()
		return w.Program
	case w.Cgroup != nil:
		w.Cgroup.Err = w.Err.error()
		return w.Cgroup
	}
	if w.Log == "" {
		return errors.New(w.Text)
	}
	return &toldError{w.Text, w.Log}
}

// toldError is what a verifier said to another process.
type toldError struct{ text, log string }

func (e *toldError) Error() string { return e.text }
