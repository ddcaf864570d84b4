package e2e

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

func init() { roles["websocket"] = talkWebSocket }

// webSocketLimit is more than the longest message.
const webSocketLimit = 1 << 20

// talkWebSocket sends messages of each kind, pings and is pinged, and is hung
// up on.
func talkWebSocket(args []string) error {
	// The key and the masks, which are the same each time.
	crand.Reader = rand.NewChaCha8([32]byte{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := newDialer(args)
	c, answer, err := websocket.Dial(ctx, serverURL+"/chat", &websocket.DialOptions{
		HTTPClient: d.web(), Subprotocols: []string{"chat", "echo"},
	})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	c.SetReadLimit(webSocketLimit)
	results := []string{answer.Status, fmt.Sprint(answer.Header), c.Subprotocol()}
	for _, step := range []func() (string, error){
		func() (string, error) { return returned(ctx, c, websocket.MessageText, "text ✓") },
		func() (string, error) { return returned(ctx, c, websocket.MessageText, "") },
		func() (string, error) { return returned(ctx, c, websocket.MessageBinary, "\x00\xff\r\n\r\n") },
		func() (string, error) { return returned(ctx, c, websocket.MessageBinary, noise(200_000)) },
		func() (string, error) { return returned(ctx, c, websocket.MessageText, "in ", "three ", "frames") },
		func() (string, error) { return pinged(ctx, c) },
		func() (string, error) { return returned(ctx, c, websocket.MessageText, "ping me") },
		func() (string, error) { return hungUp(ctx, c) },
	} {
		result, err := step()
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	return d.report(results...)
}

// returned sends a message, in as many frames as it has parts, and gives what
// comes back.
func returned(ctx context.Context, c *websocket.Conn, kind websocket.MessageType, parts ...string) (string, error) {
	if err := sendFrames(ctx, c, kind, parts...); err != nil {
		return "", err
	}
	kind, back, err := c.Read(ctx)
	return fmt.Sprintf("%v of %d bytes: %.20q", kind, len(back), back), err
}

func sendFrames(ctx context.Context, c *websocket.Conn, kind websocket.MessageType, parts ...string) error {
	if len(parts) == 1 {
		return c.Write(ctx, kind, []byte(parts[0]))
	}
	w, err := c.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return w.Close()
}

// pinged waits for a pong, which somebody has to read.
func pinged(ctx context.Context, c *websocket.Conn) (string, error) {
	type read struct {
		text string
		err  error
	}
	next := make(chan read, 1)
	go func() {
		_, text, err := c.Read(ctx)
		next <- read{string(text), err}
	}()
	if err := c.Ping(ctx); err != nil {
		return "", err
	}
	err := c.Write(ctx, websocket.MessageText, []byte("after the pong"))
	got := <-next
	return got.text, errors.Join(err, got.err)
}

// hungUp asks the server to close, and says how it did.
func hungUp(ctx context.Context, c *websocket.Conn) (string, error) {
	if err := c.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
		return "", err
	}
	_, _, err := c.Read(ctx)
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		return "", fmt.Errorf("not closed, but %w", err)
	}
	return closed.Error(), nil
}

// returnMessages is the server: it returns messages, in frames of its own, and
// pings and closes when it is told to.
func returnMessages(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(webSocketLimit)
	for ctx := r.Context(); ; {
		kind, message, err := c.Read(ctx)
		if err != nil {
			return
		}
		half := len(message) / 2
		switch string(message) {
		case "bye":
			_ = c.Close(4321, "enough said")
			return
		case "ping me":
			go func() {
				if c.Ping(ctx) == nil {
					_ = c.Write(ctx, kind, []byte("ponged"))
				}
			}()
		default:
			err = sendFrames(ctx, c, kind, string(message[:half]), string(message[half:]))
		}
		if err != nil {
			return
		}
	}
}

func webSocket(t *testing.T, l *line) exchange {
	return holdRecorded(t, l, l.serveHTTP(t, returnMessages), l.role(t, "websocket"))
}
