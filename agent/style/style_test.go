package style

import "testing"

func TestCut(t *testing.T) {
	for _, tc := range []struct {
		text    string
		columns int
		want    string
	}{
		{"api.example.com:443", 19, "api.example.com:443"},
		{"api.example.com:443", 16, "api.exam…com:443"},
		{"api.example.com:443", 2, "a…"},
		{"api.example.com:443", 1, "…"},
		{"api.example.com:443", 0, ""},
		{"東京東京", 5, "東…京"},
		{"東京東京", 4, "東…"},
		{"", 3, ""},
	} {
		got := Cut(tc.text, tc.columns)
		if got != tc.want {
			t.Errorf("%q in %d columns is %q, want %q", tc.text, tc.columns, got, tc.want)
		}
		if w := Width(got); w > max(0, tc.columns) {
			t.Errorf("%q takes %d columns of %d", got, w, tc.columns)
		}
	}
}

func TestCutEnd(t *testing.T) {
	for _, tc := range []struct {
		text    string
		columns int
		want    string
	}{
		{"upstream not matched", 20, "upstream not matched"},
		{"upstream not matched", 15, "upstream not m…"},
		{"upstream not matched", 1, "…"},
		{"upstream not matched", 0, ""},
		{"東京東京", 6, "東京…"},
	} {
		if got := CutEnd(tc.text, tc.columns); got != tc.want {
			t.Errorf("%q in %d columns is %q, want %q", tc.text, tc.columns, got, tc.want)
		}
	}
}

func TestGlyphs(t *testing.T) {
	const text = "━┈┃ ▁▂▃▄▅▆▇█ →↓↑…│ é"
	if got := (Style{}).Glyphs(text); got != text {
		t.Errorf("with UTF-8: %q", got)
	}
	if got, want := (Style{ASCII: true}).Glyphs(text), "=.| .:-=+*%# >v^~| ?"; got != want {
		t.Errorf("with ASCII: %q, want %q", got, want)
	}
}

func TestRoles(t *testing.T) {
	for _, tc := range []struct {
		palette Palette
		want    string
	}{
		{Plain, "paused"}, {Mono, "\x1b[1mpaused\x1b[m"}, {Colour, "\x1b[1;33mpaused\x1b[m"}, {Marked, "‹warn›paused‹/›"},
	} {
		if got := (Style{Palette: tc.palette}).As(Warn, "paused"); got != tc.want {
			t.Errorf("palette %d: %q, want %q", tc.palette, got, tc.want)
		}
	}
	if got := (Style{Palette: Colour}).As(Good, ""); got != "" {
		t.Errorf("nothing is %q", got)
	}
}
