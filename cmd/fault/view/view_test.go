package view

import (
	"fmt"
	"testing"

	"github.com/faultproxy/fault/agent/style"
)

func TestX(t *testing.T) {
	for _, sz := range [][2]int{{100, 30}, {80, 22}, {80, 24}, {40, 13}, {39, 13}, {80, 12}, {100, 18}} {
		fmt.Printf("%v\n%s\n", sz, Render(aRun(), Frame{Columns: sz[0], Rows: sz[1], Style: style.Style{}}))
	}
}
