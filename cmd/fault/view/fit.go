package view

// class is when a row goes away as height lacks: those of the lowest class
// first.
type class int

const (
	kept class = iota
	table
	spareRow
	blank
	bytesRow
	lateRow
	secondBars
	axisRow
	reasonRow
	timeRow
)

// entry is a row of a frame. The entry of class table stands for all the rows
// of the table of pairs.
type entry struct {
	row
	goes class
	// alone is the row instead, if that of class secondBars has gone.
	alone *row
}

// fit makes rows of entries, not more than the window has. What counts flows
// stays to the end, so that reasons which go away are still there as counts.
func (p *page) fit(entries []entry) []row {
	height := p.f.Rows
	pairs := min(p.pairs, len(p.s.Pairs))
	excess := func() int { return len(entries) - 1 + p.tableRows(pairs) - height }
	for class := spareRow; class <= axisRow; class++ {
		before := len(entries)
		entries = without(entries, class, excess())
		if class == secondBars && len(entries) < before {
			alone(entries)
		}
	}
	if excess() > 0 {
		pairs = min(pairs, 3)
	}
	if excess() > 0 {
		entries = without(entries, reasonRow, len(entries))
	}
	for pairs > 1 && excess() > 0 {
		pairs--
	}
	if excess() > 0 {
		pairs = none
	}
	if excess() > 0 {
		entries = p.withoutTimes(entries)
	}
	for pairs != none && pairs < len(p.s.Pairs) && excess()+p.tableRows(pairs+1)-p.tableRows(pairs) <= 0 {
		pairs++
	}
	var rows []row
	for _, e := range entries {
		if e.goes == table {
			rows = append(rows, p.table(pairs)...)
		} else {
			rows = append(rows, e.row)
		}
	}
	return rows
}

// without leaves out up to n rows of a class, the last ones.
func without(entries []entry, goes class, n int) []entry {
	left := make([]entry, 0, len(entries))
	of := 0
	for _, e := range entries {
		if e.goes == goes {
			of++
		}
	}
	for _, e := range entries {
		if e.goes == goes {
			if of--; of < n {
				continue
			}
		}
		left = append(left, e)
	}
	return left
}

// alone makes one row of bars of two.
func alone(entries []entry) {
	for i, e := range entries {
		if e.alone != nil {
			entries[i].row = *e.alone
		}
	}
}

// withoutTimes leaves out the time lines; the words about states stay.
func (p *page) withoutTimes(entries []entry) []entry {
	for i, e := range entries {
		if e.goes == timeRow {
			rest := without(entries[i:], timeRow, len(entries))
			if p.f.Columns >= 80 {
				rest = append([]entry{{row: p.states()}}, rest...)
			}
			return append(entries[:i:i], rest...)
		}
	}
	return entries
}
