package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// batteries are run in this order.
var batteries []battery

func init() {
	batteries = []battery{
		{[]string{"1", "2"}, untouched},
		{[]string{"3", "6"}, onAll},
		{[]string{"4", "5"}, onOne},
		{[]string{"7", "8"}, idle},
		{[]string{"9", "10"}, lateness},
		{[]string{"11"}, excess},
		{[]string{"12"}, bounded},
		{[]string{"13"}, full},
		{[]string{"14"}, starting},
		{[]string{rowHTTP}, pages},
	}
}

// rowHTTP is the rows that have no number.
const rowHTTP = "http"

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
