package main

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

// small has one of each: looks that go on in the next row, runs, shapes, and
// text that means something to XML.
const small = " \x1b[1mfault\x1b[0m  \x1b[32mrunning\x1b[39m 0:01\n" +
	"\x1b[36m██▌\x1b[39m\x1b[2m┈┈\x1b[0m ━━\x1b[36m┃\x1b[0m\n" +
	"\x1b[36m▁▄█\n█▂\x1b[39;49m a  b\n\n" +
	"<b>&\"'\n"

func TestDrawsAScreen(t *testing.T) {
	const path = "testdata/small.svg"
	got, err := drawn(small, 20, 6)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\ngot\n%s", path, want, got)
	}
}

// TestRefuses holds that no picture is made of what could not be drawn.
func TestRefuses(t *testing.T) {
	for name, screen := range map[string]string{
		"nothing":                "",
		"a row that is too wide": "123456",
		"a row too many":         "1\n2\n3\n",
		"another colour":         "\x1b[35mx",
		"a background":           "\x1b[41mx",
		"a palette":              "\x1b[38;5;4mx",
		"wide characters":        "漢",
		"a control character":    "a\x07",
		"a title":                "\x1b]0;title\x07",
		"a cursor movement":      "\x1b[2J",
		"half a sequence":        "\x1b[3",
	} {
		if got, err := drawn(screen, 5, 2); err == nil {
			t.Errorf("%s: got a picture\n%s\nwant an error", name, got)
		}
	}
}

// TestPictureOfTheREADME holds that there is one, and that it may be shown by
// whoever shows the README.
func TestPictureOfTheREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "](docs/view.svg)") {
		t.Error("README.md does not show docs/view.svg")
	}
	picture, err := os.ReadFile("../../docs/view.svg")
	if err != nil {
		t.Fatal(err)
	}
	if most := 60_000; len(picture) > most {
		t.Errorf("docs/view.svg has %d bytes, want at most %d", len(picture), most)
	}
	text, err := harmless(string(picture))
	if err != nil {
		t.Errorf("docs/view.svg: %v", err)
	}
	for _, word := range []string{"running", "latency", "injected", "q end"} {
		if !strings.Contains(text, word) {
			t.Errorf("docs/view.svg does not say %q", word)
		}
	}
}

// FuzzPicture holds that whatever is on a screen becomes text, or an error.
func FuzzPicture(f *testing.F) {
	for _, seed := range []string{
		small, "</text><script>alert(1)</script>", "]]>&#0;", "\x1b[1;2;31m\xff\xfe", "a\u0301\u202e\uffff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, screen string) {
		got, err := drawn(screen, 40, 10)
		if err != nil {
			return
		}
		if _, err := harmless(got); err != nil {
			t.Errorf("%q gives %v\n%s", screen, err, got)
		}
	})
}

func drawn(screen string, columns, rows int) (string, error) {
	var out strings.Builder
	err := picture(strings.NewReader(screen), &out, columns, rows, `a "title" <here>`)
	return out.String(), err
}

// harmless reads an SVG, and returns its text. An element or attribute that
// could load or run something is an error.
func harmless(svg string) (text string, err error) {
	elements := []string{"svg", "title", "style", "rect", "text", "path"}
	attributes := []string{
		"xmlns", "width", "height", "viewBox", "role", "class", "x", "y", "rx", "textLength", "lengthAdjust",
		"stroke-width", "stroke-dasharray", "d",
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !slices.Contains(elements, token.Name.Local) {
				return "", errors.New("it has an element " + token.Name.Local)
			}
			for _, a := range token.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					return "", errors.New("it has an attribute " + a.Name.Local)
				}
			}
		case xml.CharData:
			text += string(token)
		}
	}
}
