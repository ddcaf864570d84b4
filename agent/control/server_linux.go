package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent/event"
)

const (
	// connectionLimit is how many clients are answered at once; others wait
	// in the socket's queue.
	connectionLimit = 16
	// acceptPause follows a failed accept, such as for want of descriptors.
	acceptPause = 100 * time.Millisecond
)

// server answers at one socket.
type server struct {
	agent   Agent
	log     *zap.Logger
	at      *net.UnixListener
	slots   chan struct{} // one taken by each connection
	ended   chan struct{}
	running sync.WaitGroup

	mu   sync.Mutex
	open map[*net.UnixConn]bool // nil once the server has ended
}

// Serve answers for an agent that knows itself by pid, until stop is called.
// Stop is never nil; it waits for replies that are being written, at most for
// 2 s, and leaves nothing. Log may not be nil.
//
// Several sockets of a pid can be: agents of several pid namespaces may share
// a network namespace, and anybody may take a name. So it ends with a number
// that nobody can guess.
func Serve(pid int, agent Agent, log *zap.Logger) (stop func(), err error) {
	name := fmt.Sprintf("@%s%d-%08x", namePrefix, pid, rand.Uint32())
	at, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return func() {}, fmt.Errorf("open the socket for `fault status`: %w", err)
	}
	s := &server{
		agent: agent, log: log, at: at,
		slots: make(chan struct{}, connectionLimit), ended: make(chan struct{}),
		open: make(map[*net.UnixConn]bool),
	}
	s.running.Go(s.accept)
	return sync.OnceFunc(s.stop), nil
}

func (s *server) accept() {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ended:
			return
		}
		conn, err := s.at.AcceptUnix()
		if err == nil {
			s.running.Go(func() { s.answer(conn) })
			continue
		}
		<-s.slots
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.log.Debug("accept a connection of `fault status`", zap.Error(err))
		select {
		case <-time.After(acceptPause):
		case <-s.ended:
		}
	}
}

// stop lets nobody ask any more; who has asked gets a reply.
func (s *server) stop() {
	close(s.ended)
	s.at.Close()
	s.mu.Lock()
	for conn := range s.open {
		_ = conn.SetReadDeadline(time.Now())
	}
	s.open = nil
	s.mu.Unlock()
	s.running.Wait()
}

// answer has one connection, and gives its slot back.
func (s *server) answer(conn *net.UnixConn) {
	defer func() { <-s.slots }()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	if !s.add(conn) {
		return
	}
	defer s.remove(conn)
	reply, err := s.reply(conn)
	if e, ok := errors.AsType[*Error](err); ok {
		reply, err = Reply{Error: e.Code, Text: e.Text}, nil
	}
	if err != nil {
		return // it asked for nothing, or went away
	}
	reply.Schema = event.Schema
	_, _ = io.WriteString(conn, event.Line(reply))
}

func (s *server) add(conn *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	s.open[conn] = true
	return true
}

func (s *server) remove(conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

// reply reads a request and does it. What strangers send is not even read.
func (s *server) reply(conn *net.UnixConn) (Reply, error) {
	who, err := credentials(conn)
	if err != nil {
		return Reply{}, err
	}
	if uid := os.Geteuid(); who.Uid != 0 && int(who.Uid) != uid {
		return Reply{}, &Error{NotAllowed, "only " + allowed(uid) + " may ask"}
	}
	line, err := bufio.NewReaderSize(conn, requestLimit).ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Reply{}, &Error{BadRequest, fmt.Sprintf("the request is longer than %d bytes", requestLimit)}
	case errors.Is(err, io.EOF) && len(line) > 0:
		return Reply{}, &Error{BadRequest, "the request is not a whole line"}
	case err != nil:
		return Reply{}, err
	}
	request, err := parseRequest(line)
	if err != nil {
		return Reply{}, err
	}
	return s.do(request.Do, who), nil
}

func (s *server) do(verb Verb, who *unix.Ucred) Reply {
	changed := false
	switch verb {
	case Pause:
		changed = s.agent.Pause()
	case Resume:
		changed = s.agent.Resume()
	case Stop:
		changed = !s.agent.Status().Ending
		s.agent.Stop()
	}
	if verb != Look {
		s.log.Info("asked to "+string(verb), zap.Uint32("uid", who.Uid), zap.Int32("pid", who.Pid), zap.Bool("changed", changed))
	}
	status := s.agent.Status()
	return Reply{Changed: changed, Status: &status}
}

// allowed is who may ask an agent of a user.
func allowed(uid int) string {
	if uid == 0 {
		return "root"
	}
	return fmt.Sprintf("root and uid %d", uid)
}

// credentials are those of the other end: who connected, or who listens.
func credentials(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var who *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return who, errors.Join(err, failed)
}
