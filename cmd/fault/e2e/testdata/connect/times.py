# Connects to each address of the command line, and prints how many ms it took
# until that was done, and until the first byte came: ADDRESS CONNECT FIRST-BYTE.
import socket
import sys
import time


def ms(since):
    return int(1000 * (time.monotonic() - since))


for address in sys.argv[1:]:
    host, port = address.rsplit(":", 1)
    began = time.monotonic()
    s = socket.create_connection((host.strip("[]"), int(port)), 10)
    connect = ms(began)
    s.sendall(b"hello\n")
    s.recv(1)
    print(address, connect, ms(began))
