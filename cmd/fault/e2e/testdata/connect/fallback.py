# Connects to HOST PORT so many TIMES, and prints each time what it took, in ms,
# and whom it got.
import socket
import sys
import time

host, port, times = sys.argv[1:]
for _ in range(int(times)):
    began = time.monotonic()
    with socket.create_connection((host, int(port)), 0.3) as s:
        print(1000 * (time.monotonic() - began), s.getpeername()[0])
