# Connects to each address of the command line, in each way that a program can,
# and prints what became of it: WAY ADDRESS/PORT RESULT MS ms.
import concurrent.futures
import errno
import select
import socket
import sys
import time


def name(e):
    return "timeout" if e.errno is None else errno.errorcode[e.errno]


def made(address):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    # A blocking connect to a silent host would otherwise take two minutes.
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 2)
    return s


def blocking(s, to):
    s.connect(to)


def with_timeout(s, to):
    s.settimeout(5)
    s.connect(to)


def non_blocking(s, to):
    s.setblocking(False)
    e = s.connect_ex(to)
    if e == errno.EINPROGRESS:
        p = select.poll()
        p.register(s, select.POLLOUT)
        if not p.poll(5000):
            raise TimeoutError()
        e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if e:
        raise OSError(e, "")
    s.setblocking(True)


def outcome(way, address, port):
    s = made(address)
    try:
        way(s, (address, int(port)))
    except OSError as e:
        return "connect " + name(e)
    peer = s.getpeername()
    if peer[:2] != (address, int(port)):
        return "peer %s" % (peer,)
    s.settimeout(4)
    try:
        return "read %r" % s.recv(100)
    except OSError as e:
        return "read " + name(e)


def tell(way, target):
    address, port = target.rsplit("/", 1)
    began = time.monotonic()
    told = outcome(way, address, port)
    return "%s %s %s %d ms" % (way.__name__, target, told, 1000 * (time.monotonic() - began))


ways = [blocking, with_timeout, non_blocking]
with concurrent.futures.ThreadPoolExecutor(100) as pool:
    told = [pool.submit(tell, way, target) for way in ways for target in sys.argv[1:]]
    for line in told:
        print(line.result())
