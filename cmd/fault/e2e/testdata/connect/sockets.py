# Connects to each address of the command line with sockets of each kind, and
# prints what comes of it: KIND ADDRESS PEER SEEN-FROM ECHO.
import socket
import sys

MARK, LOW_DELAY = 7, 0x10
MPTCP = 262
SO_MARK, FASTOPEN_CONNECT, IPV6_TCLASS = 36, 30, 67


def plain(s, to):
    s.connect(to)


def bound(s, to):
    s.bind((sys.argv[2] if s.family == socket.AF_INET6 else sys.argv[1], 0))
    s.connect(to)


def marked(s, to):
    s.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
    s.connect(to)


def service(s, to):
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_TCLASS, LOW_DELAY)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, LOW_DELAY)
    s.connect(to)


def fast_open(s, to):
    s.setsockopt(socket.IPPROTO_TCP, FASTOPEN_CONNECT, 1)
    s.connect(to)


def send_fast(s, to):
    s.sendto(b"first ", socket.MSG_FASTOPEN, to)


def multipath(s, to):
    s.connect(to)


def tell(kind, family, address, port):
    s = socket.socket(family, socket.SOCK_STREAM, MPTCP if kind is multipath else 0)
    kind(s, (address, port))
    s.settimeout(10)
    s.sendall(b"hello")
    peer = "-" if kind is multipath else s.getpeername()[0]
    s.shutdown(socket.SHUT_WR)
    all = b""
    while piece := s.recv(100):
        all += piece
    saw, echo = all.split(b"\n")
    print(kind.__name__, address, peer, saw.decode().rsplit(":", 1)[0], echo)


for target in sys.argv[3:]:
    address, port = target.rsplit("/", 1)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in plain, bound, marked, service, fast_open, send_fast, multipath:
        if not (kind is bound and family == socket.AF_INET6):
            tell(kind, family, address, int(port))
