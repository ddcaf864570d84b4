"""Asks a web server for its identity, and says how long that took."""

import http.client
import socket
import ssl
import sys
import time
import urllib.parse

family = {"-4": socket.AF_INET, "-6": socket.AF_INET6}[sys.argv[1]]
url = urllib.parse.urlsplit(sys.argv[2])
port = {"http": 80, "https": 443}[url.scheme]
began = time.monotonic()
address = socket.getaddrinfo(url.hostname, port, family, socket.SOCK_STREAM)[0][4]
sock = socket.create_connection(address[:2], 20)
if url.scheme == "https":
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = context.wrap_socket(sock, server_hostname=url.hostname)
connection = http.client.HTTPConnection(url.hostname)
connection.sock = sock
connection.request("GET", url.path)
print(connection.getresponse().read().decode(), time.monotonic() - began)
