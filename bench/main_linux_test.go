package main

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	s, err := parse([]string{"-rows", "3,http", "-binary", "other"})
	if err != nil || !slices.Equal(s.rows, []string{"3", "http"}) || s.binary != "other" || s.rounds != 5 {
		t.Errorf("parsed %+v, %v", s, err)
	}
	if s, err := parse([]string{"-short", "-rounds", "9"}); err != nil || s.rounds != 1 {
		t.Errorf("a short run has %d rounds, %v", s.rounds, err)
	}
	for _, args := range [][]string{{"-rows", "3,15"}, {"-rounds", "0"}, {"3"}} {
		if s, err := parse(args); err == nil {
			t.Errorf("%v is parsed as %+v", args, s)
		}
	}
}
