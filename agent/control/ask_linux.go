package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/faultproxy/fault/agent/event"
)

// Ask asks an agent to do something, and waits for its reply for at most 2 s.
// If it gives none, the error is an [Error], but for an end of ctx.
func (p Peer) Ask(ctx context.Context, do Verb) (Reply, error) {
	if !p.Ours() {
		return Reply{}, &Error{NotAllowed, "answers only " + allowed(p.UID)}
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return Reply{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	line, err := exchange(conn, event.Line(Request{Schema: event.Schema, Do: do}))
	switch {
	case err == nil:
		return parseReply(line)
	case ctx.Err() != nil:
		return Reply{}, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Reply{}, &Error{NoAnswer, fmt.Sprintf("did not answer within %v", answerTime)}
	case errors.Is(err, bufio.ErrBufferFull):
		return Reply{}, &Error{NoAnswer, fmt.Sprintf("answered with more than %d bytes", replyLimit)}
	}
	return Reply{}, &Error{Ended, "ended before it answered"}
}

// exchange sends a line and receives one.
func exchange(conn *net.UnixConn, request string) ([]byte, error) {
	// Who refuses may do so, and close, before we have written.
	_, failed := io.WriteString(conn, request)
	line, err := bufio.NewReaderSize(conn, replyLimit).ReadSlice('\n')
	if err != nil {
		return nil, errors.Join(err, failed)
	}
	return line, nil
}
