package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// batteries are run in this order: what others disturb most comes first.
var batteries []battery

func init() {
	batteries = []battery{
		{[]string{"4", "5"}, onOne},
		{[]string{"3", "6"}, onAll},
		{[]string{"7", "8"}, idle},
	}
}

// rowOrder puts rows without a number last.
func rowOrder(row string) int {
	if n, err := strconv.Atoi(row); err == nil {
		return n
	}
	return 1000
}

// about writes where and with what was measured.
func (b *bench) about(to io.Writer) error { _, err := fmt.Fprintln(to, "TODO"); return err }

// write writes the tables.
func (b *bench) write(to io.Writer) error {
	lines := slices.Clone(b.lines)
	return markdown(to, gates(lines, true))
}
