# An application with pools of connections. It opens three connections each, and
# then asks over one of them as often as it is told: "redis" or "postgres".
import sys
import time

import psycopg2
import psycopg2.pool
import redis

SIZE = 3
cache = redis.ConnectionPool(host=sys.argv[1], port=6379)
for c in [cache.get_connection("PING") for _ in range(SIZE)]:
    cache.release(c)
database = psycopg2.pool.SimpleConnectionPool(SIZE, SIZE, host=sys.argv[2], user="postgres")


def ask_redis():
    redis.Redis(connection_pool=cache).ping()


def ask_postgres():
    while True:  # as applications do whose connection may have ended
        c = database.getconn()
        try:
            with c.cursor() as cursor:
                cursor.execute("select 1")
                cursor.fetchone()
            c.rollback()
            database.putconn(c)
            return
        except psycopg2.OperationalError:
            database.putconn(c, close=True)


print("ready", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    {"redis": ask_redis, "postgres": ask_postgres}[line.strip()]()
    print((time.monotonic() - began) * 1000, flush=True)
