"""Gets the page of each URL that it is given, on a connection of its own."""

import ssl
import sys
import time
import urllib.request

context = ssl.create_default_context(cafile=sys.argv[1])
for line in sys.stdin:
    began = time.perf_counter()
    with urllib.request.urlopen(line.strip(), context=context, timeout=20) as answer:
        peer = answer.fp.raw._sock.getpeername()[0]
        body = answer.read().decode()
    took = (time.perf_counter() - began) * 1000
    print(took, peer, body, flush=True)
