package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// textLimit bounds in bytes what POST /uppercase takes.
const textLimit = 1 << 20

// text is what POST /uppercase takes and gives.
type text struct {
	Content string `json:"content"`
}

// uppercase answers with the content in upper case, letter by letter in any script: a letter that has no single upper
// case, such as ß, stays.
func uppercase(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); !isJSON(kind) {
		writeError(w, http.StatusUnsupportedMediaType, fmt.Errorf("content type %q is not application/json", kind))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, textLimit))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			// The rest of the body is not worth reading to keep this connection.
			w.Header().Set("Connection", "close")
			writeError(w, http.StatusRequestEntityTooLarge, fmt.Errorf("body exceeds %d bytes", textLimit))
			return
		}
		writeError(w, http.StatusBadRequest, fmt.Errorf("read body: %w", err))
		return
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		writeError(w, http.StatusBadRequest, errors.New("body is not JSON"))
		return
	}
	content, ok := contentOf(body)
	if !ok {
		writeError(w, http.StatusUnprocessableEntity, errors.New(`body is not of the form {"content": "text"}`))
		return
	}
	writeJSON(w, http.StatusOK, text{strings.ToUpper(content)})
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" ||
		strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}

// contentOf reads the member by hand: a struct would also take "Content", null, and an object without it.
func contentOf(doc []byte) (content string, ok bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(doc, &members) != nil {
		return "", false
	}
	var value *string
	if json.Unmarshal(members["content"], &value) != nil || value == nil {
		return "", false
	}
	return *value, true
}
