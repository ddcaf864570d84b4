package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent/event"
)

// events is what `fault run --json` writes, in the order in which it begins to.
var events = []struct {
	word, when string
	event      any
}{
	{event.OfStart, "everything is attached", event.Start{}},
	{event.OfFault, "a fault goes on or off", event.Change{}},
	{event.OfFlow, "a connection or request has ended, or is open after 5 s", event.Flow{}},
	{event.OfWarning, "there is something to know; the run goes on", event.Warning{}},
	{event.OfProgress, "the counters so far, now and then", event.Progress{}},
	{event.OfSummary, "the last line, always", event.Summary{}},
}

// jsonTopic is the events with their keys, and the rules.
func jsonTopic(*cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`fault run --json` writes an object a line to stdout, and nothing else;\n"+
		"`--json=PATH` writes them to a file. Without it, too, what a pipe gets of a run\n"+
		"ends with the summary. This is schema %d.\n\n", event.Schema)
	head := keys(reflect.TypeFor[event.Head]())
	fmt.Fprintf(&b, "Every event: %s.\n\n", strings.Join(head, ", "))
	for _, e := range events {
		writeColumns(&b, "  "+e.word, namesColumn, " ", strings.Fields(e.when))
		own := keys(reflect.TypeOf(e.event))[len(head):]
		writeColumns(&b, "", namesColumn, " ", own)
	}
	b.WriteString(`
Units are suffixes (_ms, _s, _us, _bytes, _bytes_per_s), counts have none, a
share is 0 to 1. Times are RFC 3339 in UTC, at_s is seconds since the run was
ready. Words of flags are spelled as there. Seeds are strings. What is absent is
unknown or does not apply; a 0 was measured. Within a schema keys and words are
added, never renamed, retyped or taken away: ignore what you do not know.

  fault run ... | tail -n 1 | jq .faults
`)
	return b.String()
}

// keys are the JSON keys of a struct, those of embedded ones in their place.
func keys(of reflect.Type) []string {
	var all []string
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			all = append(all, keys(field.Type)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, name)
	}
	return all
}
