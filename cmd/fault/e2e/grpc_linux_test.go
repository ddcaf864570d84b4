package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func init() { roles["grpc"], roles["grpc-tls"] = callPlainly, callSecretly }

// wideWindow has room for all that is sent: when a peer gives more room depends
// on how fast it reads, and so the bytes would.
const wideWindow = 16 << 20

// callPlainly makes calls over a connection of its own, which it records.
func callPlainly(args []string) error {
	d := newDialer(args)
	results, err := callEach(serverAddress,
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return d.dial(ctx, "tcp", address) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(wideWindow), grpc.WithStaticConnWindowSize(wideWindow))
	if err != nil {
		return err
	}
	return d.report(results...)
}

// callSecretly makes calls over TLS, and leaves it to the library how to
// connect: its args are a file with the server's authority, and an address.
func callSecretly(args []string) error {
	secret, err := credentials.NewClientTLSFromFile(args[0], "")
	if err != nil {
		return err
	}
	results, err := callEach(args[1], grpc.WithTransportCredentials(secret), grpc.WithAuthority(serverAddress))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(clientEnd{Results: results})
}

// callEach makes a call of each kind, and says what came of it.
func callEach(target string, options ...grpc.DialOption) ([]string, error) {
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	service := pb.NewTestServiceClient(conn)
	// No deadline, which would be said to the server.
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-asked", "one", "x-asked", "two", "x-asked-bin", "\x00\xff")
	var results []string
	for _, call := range []func(context.Context, pb.TestServiceClient) ([]string, error){
		callFailing, // so short that both know their windows before it matters
		callUnary, callServerStream, callBothStreams,
	} {
		result, err := call(ctx, service)
		if err != nil {
			return nil, err
		}
		results = append(results, result...)
	}
	return results, conn.Close()
}

func payload(n int) *pb.Payload { return &pb.Payload{Body: []byte(noise(n))} }

func length(answer interface{ GetPayload() *pb.Payload }) string {
	return fmt.Sprintf("%d bytes", len(answer.GetPayload().GetBody()))
}

// values are those of metadata, which hides them when it is printed.
func values(all metadata.MD) string { return fmt.Sprintf("%q", map[string][]string(all)) }

// streamed asks for payloads of some sizes.
func streamed(sizes ...int32) *pb.StreamingOutputCallRequest {
	q := &pb.StreamingOutputCallRequest{Payload: payload(27_182)}
	for _, size := range sizes {
		q.ResponseParameters = append(q.ResponseParameters, &pb.ResponseParameters{Size: size})
	}
	return q
}

// callFailing wants an error.
func callFailing(ctx context.Context, service pb.TestServiceClient) ([]string, error) {
	_, err := service.UnaryCall(ctx, &pb.SimpleRequest{
		ResponseStatus: &pb.EchoStatus{Code: int32(codes.FailedPrecondition), Message: "tab\there, ✓ and\nso on"},
	})
	return []string{fmt.Sprint(status.Convert(err))}, nil
}

func callUnary(ctx context.Context, service pb.TestServiceClient) ([]string, error) {
	var header, trailer metadata.MD
	answer, err := service.UnaryCall(ctx, &pb.SimpleRequest{ResponseSize: 314_159, Payload: payload(271_828)},
		grpc.Header(&header), grpc.Trailer(&trailer))
	return []string{values(header), length(answer), values(trailer)}, err
}

func callServerStream(ctx context.Context, service pb.TestServiceClient) ([]string, error) {
	stream, err := service.StreamingOutputCall(ctx, streamed(31_415, 9, 0, 58_979))
	if err != nil {
		return nil, err
	}
	var results []string
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return append(results, values(stream.Trailer())), nil
		}
		if err != nil {
			return nil, err
		}
		results = append(results, length(answer))
	}
}

// callBothStreams asks again when it has the answer.
func callBothStreams(ctx context.Context, service pb.TestServiceClient) ([]string, error) {
	stream, err := service.FullDuplexCall(ctx)
	if err != nil {
		return nil, err
	}
	var results []string
	for _, size := range []int32{1, 65_536, 3} {
		if err := stream.Send(streamed(size)); err != nil {
			return nil, err
		}
		answer, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		results = append(results, length(answer))
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the stream did not end, but %w", err)
	}
	return append(results, values(stream.Trailer())), nil
}

// testService is the server: it answers as it is asked to.
type testService struct {
	pb.UnimplementedTestServiceServer
}

// UnaryCall returns metadata, too.
func (testService) UnaryCall(ctx context.Context, q *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s := q.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	asked, _ := metadata.FromIncomingContext(ctx)
	if err := grpc.SendHeader(ctx, metadata.MD{"x-heard": asked["x-asked"]}); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, metadata.MD{"x-heard-bin": asked["x-asked-bin"]}); err != nil {
		return nil, err
	}
	return &pb.SimpleResponse{Payload: payload(int(q.GetResponseSize()))}, nil
}

func (testService) StreamingOutputCall(q *pb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	stream.SetTrailer(metadata.Pairs("x-last", "yes"))
	return sendPayloads(q, stream.Send)
}

func (testService) FullDuplexCall(stream grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	for {
		q, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = sendPayloads(q, stream.Send)
		}
		if err != nil {
			return err
		}
	}
}

func sendPayloads(q *pb.StreamingOutputCallRequest, send func(*pb.StreamingOutputCallResponse) error) error {
	for _, p := range q.GetResponseParameters() {
		if err := send(&pb.StreamingOutputCallResponse{Payload: payload(int(p.GetSize()))}); err != nil {
			return err
		}
	}
	return nil
}

// serveGRPC serves on a line until the test ends.
func (l *line) serveGRPC(t *testing.T, options ...grpc.ServerOption) *recordings {
	t.Helper()
	server := grpc.NewServer(options...)
	pb.RegisterTestServiceServer(server, testService{})
	t.Cleanup(server.Stop)
	return l.serveRecorded(t, func(ln *recordings) { _ = server.Serve(ln) })
}

// gRPC is HTTP/2 with prior knowledge.
func gRPC(t *testing.T, l *line) exchange {
	server := l.serveGRPC(t, grpc.StaticStreamWindowSize(wideWindow), grpc.StaticConnWindowSize(wideWindow))
	return holdRecorded(t, l, server, l.role(t, "grpc"))
}

// gRPCOverTLS is HTTP/2 as it is agreed upon in TLS, which sees to it that the
// bytes arrive as they were sent.
func gRPCOverTLS(t *testing.T, l *line) exchange {
	dir := sharedDir(t)
	certify(t, dir, l.server.v4)
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := l.serveGRPC(t, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	target := serverAddress
	if l.way == mapped {
		target = mappingAddress
	}
	client := role(t, "grpc-tls", filepath.Join(dir, "ca.pem"), target)
	if l.way == tunnelled {
		client.Env = append(client.Env, "HTTPS_PROXY=http://"+l.agent.proxy)
	}
	return holdRecorded(t, l, server, client)
}
