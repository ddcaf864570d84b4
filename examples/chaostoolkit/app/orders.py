#!/usr/bin/env python3
"""A small application: a page of orders that come from PostgreSQL.

It opens a connection for each page, as programs without a pool do. Without
--patience a customer waits for as long as the database does. With it, after
so many seconds the last page that could be made is served again.
"""

import argparse
import html
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg


class Orders:
    """The page, from the database or from memory."""

    def __init__(self, database: str, patience: float | None) -> None:
        self.database = database
        self.patience = patience
        self.last: str | None = None
        self.workers = ThreadPoolExecutor(16)

    def read(self) -> str:
        with psycopg.connect(self.database) as db:
            rows = db.execute("SELECT id, item, cents FROM orders ORDER BY id DESC LIMIT 20").fetchall()
        self.last = "".join(f"<li>{n}: {html.escape(item)}, {cents / 100:.2f}</li>\n" for n, item, cents in rows)
        return self.last

    def page(self) -> tuple[int, str]:
        try:
            return 200, f"<ul>\n{self.workers.submit(self.read).result(self.patience)}</ul>\n"
        except (Late, psycopg.Error) as problem:
            print(f"no orders from the database: {problem!r}", flush=True)
            if self.patience is None or self.last is None:
                return 503, "no orders can be shown now\n"
            return 200, f"<p>as of a while ago:</p>\n<ul>\n{self.last}</ul>\n"


def serve(orders: Orders, host: str, port: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = orders.page() if self.path == "/orders" else (404, "not here\n")
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    print(f"orders on http://{host}:{server.server_port}/orders", flush=True)
    server.serve_forever()


def main() -> None:
    flags = argparse.ArgumentParser(description="A page of orders that come from PostgreSQL.")
    flags.add_argument("--database", default="host=db.internal user=postgres dbname=postgres",
                       help="a connection string (%(default)s)")
    flags.add_argument("--patience", type=float, metavar="SECONDS",
                       help="serve the last page if the database takes longer")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=8000)
    given = flags.parse_args()
    serve(Orders(given.database, given.patience), given.host, given.port)


if __name__ == "__main__":
    main()
