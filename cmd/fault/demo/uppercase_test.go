package demo

import (
	"net/http"
	"strings"
	"testing"
)

func TestUppercase(t *testing.T) {
	const kind = "application/json"
	demo := start(t, Config{})
	for name, c := range map[string]struct {
		kind, body string
		status     int
		content    string
	}{
		"plain":            {kind, `{"content":"hello"}`, 200, "HELLO"},
		"scripts":          {kind, `{"content":"élan Ωω ж ß 東 <b>"}`, 200, "ÉLAN ΩΩ Ж ß 東 <B>"},
		"other members":    {kind, `{"n":1e999,"content":""}`, 200, ""},
		"charset":          {kind + "; charset=utf-8", `{"content":"a"}`, 200, "A"},
		"json suffix":      {"application/vnd.x+json", `{"content":"a"}`, 200, "A"},
		"no type":          {"", `{"content":"a"}`, 415, ""},
		"other type":       {"text/plain", `{"content":"a"}`, 415, ""},
		"broken type":      {"application/json; =", `{"content":"a"}`, 415, ""},
		"empty":            {kind, ``, 400, ""},
		"cut":              {kind, `{"content":"a`, 400, ""},
		"trailing":         {kind, `{"content":"a"} b`, 400, ""},
		"not UTF-8":        {kind, "{\"content\":\"\xff\"}", 400, ""},
		"no content":       {kind, `{}`, 422, ""},
		"other case":       {kind, `{"Content":"a"}`, 422, ""},
		"null content":     {kind, `{"content":null}`, 422, ""},
		"number content":   {kind, `{"content":1}`, 422, ""},
		"array":            {kind, `["content"]`, 422, ""},
		"null":             {kind, `null`, 422, ""},
		"as much as fits":  {kind, `{"content":"` + strings.Repeat("a", textLimit-14) + `"}`, 200, strings.Repeat("A", textLimit-14)},
		"one byte too far": {kind, `{"content":"` + strings.Repeat("a", textLimit-13) + `"}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, http.MethodPost, demo.url+"/uppercase", c.kind, c.body)
			doc := decode(t, got)
			if got.status != c.status {
				t.Fatalf("status %d, want %d: %.200s", got.status, c.status, got.body)
			}
			if c.status == 200 && doc["content"] != c.content {
				t.Errorf("content %.200q, want %.200q", doc["content"], c.content)
			}
			if cause, _ := doc["error"].(string); c.status != 200 && cause == "" {
				t.Errorf("no error in %s", got.body)
			}
		})
	}
}
