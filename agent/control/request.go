package control

import (
	"encoding/json"
	"fmt"

	"github.com/faultproxy/fault/agent/event"
)

// requestLimit and replyLimit bound a line in bytes.
const (
	requestLimit = 4 << 10
	replyLimit   = 256 << 10
)

// parseRequest reads the line of a client that may be anybody's.
func parseRequest(line []byte) (Request, error) {
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		return Request{}, &Error{BadRequest, "the request is not a line of JSON"}
	}
	if r.Schema != event.Schema {
		return Request{}, &Error{BadRequest, fmt.Sprintf("the request has schema %d, which must be %d", r.Schema, event.Schema)}
	}
	switch r.Do {
	case Look, Pause, Resume, Stop:
		return r, nil
	}
	return Request{}, &Error{BadRequest, "the request asks to `do` none of status, pause, resume and stop"}
}

// parseReply reads the line of an agent that may be anybody.
func parseReply(line []byte) (Reply, error) {
	var r Reply
	if err := json.Unmarshal(line, &r); err != nil {
		return Reply{}, &Error{NoAnswer, "did not answer with a line of JSON"}
	}
	switch {
	case r.Schema != event.Schema:
		return Reply{}, &Error{NoAnswer, fmt.Sprintf("answers with schema %d, and this fault knows %d only", r.Schema, event.Schema)}
	case r.Error != "":
		return Reply{}, &Error{r.Error, "refuses: " + r.Text}
	case r.Status == nil:
		return Reply{}, &Error{NoAnswer, "answered without saying how it is"}
	}
	return r, nil
}
