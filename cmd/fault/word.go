package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// word is a flag value: one of some words.
type word struct {
	value   string
	words   []string
	kind    string            // the word for them in the help, if not they themselves
	aliases map[string]string // other spellings
	means   map[string]string // of some or all of them
	must    string            // what it must be, if that is not one of the words
	hint    string            // for who misspells it, if not the nearest word
}

func (w *word) String() string { return w.value }

func (w *word) Type() string {
	if w.kind != "" {
		return w.kind
	}
	return strings.Join(w.words, "|")
}

func (w *word) Set(text string) error {
	if known, ok := w.aliases[text]; ok {
		text = known
	}
	if !slices.Contains(w.words, text) {
		must := w.must
		if must == "" {
			must = oneOf(w.words)
		}
		says := w.hint
		if says == "" {
			says = hint(nearest(text, w.words), "")
		}
		return usage(fmt.Sprintf("`%s` is unknown; it must be %s", text, must), says)
	}
	w.value = text
	return nil
}

func (w *word) complete(string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, text := range w.words {
		words = append(words, described(text, w.means[text]))
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// oneOf is words as a sentence has them: "a, b or c".
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
