package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// line is one line of the table of gates.
type line struct {
	// row is that of the table of goals; several lines may be about one.
	row, what string
	measured  float64
	unit      string
	goal      goal
}

// goal is what is asked of a measured value: at least, or at most, the gate, and
// better still the aim.
type goal struct {
	atLeast   bool
	gate, aim float64
}

func atLeast(gate, aim float64) goal { return goal{true, gate, aim} }

func atMost(gate, aim float64) goal { return goal{false, gate, aim} }

// passes is false of what could not be measured, which is not a number.
func (g goal) passes(v float64) bool {
	if g.atLeast {
		return v >= g.gate
	}
	return v <= g.gate
}

func (g goal) sign() string {
	if g.atLeast {
		return "≥ "
	}
	return "≤ "
}

func (l line) verdict() string {
	if l.goal.passes(l.measured) {
		return "pass"
	}
	return "miss"
}

// missed is how many lines do not pass.
func missed(lines []line) (n int) {
	for _, l := range lines {
		if !l.goal.passes(l.measured) {
			n++
		}
	}
	return n
}

// gates is the table of the lines, without gates if they do not judge.
func gates(lines []line, judged bool) [][]string {
	table := [][]string{{"row", "what", "measured"}}
	if judged {
		table[0] = append(table[0], "gate", "aim", "")
	}
	for _, l := range lines {
		cells := []string{l.row, l.what, quantity(l.measured, l.unit)}
		if judged {
			cells = append(cells, l.goal.sign()+quantity(l.goal.gate, l.unit), quantity(l.goal.aim, l.unit), l.verdict())
		}
		table = append(table, cells)
	}
	return table
}

// detail is what a line was made of: the medians of what each target gave.
type detail struct {
	what, unit string
	targets    []string
	values     series
}

// medians is the table of the details.
func medians(details []detail) [][]string {
	table := [][]string{{"what", "unit", "target", "median", "× direct"}}
	for _, d := range details {
		for i, target := range d.targets {
			cells := []string{"", "", target, quantity(d.values.median(target), ""), ""}
			if i == 0 {
				cells[0], cells[1] = d.what, d.unit
			}
			if ratio := d.values.ratio(target, direct); target != direct && len(d.values[direct]) > 0 {
				cells[4] = quantity(ratio, "")
			}
			table = append(table, cells)
		}
	}
	return table
}

const (
	// direct is the target that is the server itself.
	direct = "direct"
	// ours is the target that is measured.
	ours = "fault"
)

// quantity writes three digits, or more of what is larger, and a dash for what
// is not known.
func quantity(v float64, unit string) string {
	if math.IsNaN(v) {
		return "-"
	}
	digits := 0
	for limit := 100.0; digits < 2 && v < limit && v > -limit; limit /= 10 {
		digits++
	}
	if v < 0.1 && v > -0.1 && v != 0 {
		digits = 3
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if unit != "" {
		text += " " + unit
	}
	return text
}

// align writes a table for a terminal.
func align(to io.Writer, table [][]string) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, cells := range table {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// markdown writes a table in Markdown.
func markdown(to io.Writer, table [][]string) error {
	var text strings.Builder
	for i, cells := range table {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			text.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
		}
	}
	_, err := io.WriteString(to, text.String())
	return err
}
