"""Asks a web server for its identity, and says that, and how long it took in
seconds: once for its arguments, or else for each line that it is told."""

import http.client
import socket
import ssl
import sys
import time
import urllib.parse

context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


def ask(family, url):
    url = urllib.parse.urlsplit(url)
    port = {"http": 80, "https": 443}[url.scheme]
    began = time.monotonic()
    address = socket.getaddrinfo(url.hostname, port, {"-4": socket.AF_INET, "-6": socket.AF_INET6}[family], socket.SOCK_STREAM)[0][4]
    with socket.create_connection(address[:2], 20) as sock:
        if url.scheme == "https":
            sock = context.wrap_socket(sock, server_hostname=url.hostname)
        connection = http.client.HTTPConnection(url.netloc)
        connection.sock = sock
        connection.request("GET", url.path)
        identity = connection.getresponse().read().decode()
    return identity, time.monotonic() - began


if len(sys.argv) > 1:
    print(*ask(*sys.argv[1:]))
for line in sys.stdin if len(sys.argv) == 1 else ():
    print(*ask(*line.split()), flush=True)
