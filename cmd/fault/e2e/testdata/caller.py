# A program that connects as it is told, a word and an address a line, and says
# whether the server sees its own socket: "direct", or "diverted". It has a worker
# that was there from the start, as a prefork server has.
import os, socket, subprocess, sys, threading


def judge(s):
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    seen = s.makefile().read().split()[-1]
    ip, port = s.getsockname()[:2]
    return "direct" if seen in (f"{ip}:{port}", f"[{ip}]:{port}") else "diverted"


def ask(address):
    ip, port = address.rsplit(":", 1)
    with socket.create_connection((ip.strip("[]"), int(port)), 20) as s:
        return judge(s)


def thread(address):
    def run():
        # A thread names itself where only it has that name.
        with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
            comm.write("HTTP Client")
        told.append(ask(address))

    told = []
    t = threading.Thread(target=run)
    t.start()
    t.join()
    return told[0]


def child(address):
    r, w = os.pipe()
    if os.fork() == 0:
        os.write(w, ask(address).encode())
        os._exit(0)
    os.wait()
    return os.read(r, 100).decode()


def orphan(address):
    r, w = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            while os.getppid() == parent:
                pass
            os.write(w, ask(address).encode())
        os._exit(0)
    os.wait()
    return os.read(r, 100).decode()


def curl(address):
    return subprocess.run(["/bin/sh", "-c", os.environ["CURL"], "sh", address], stdout=subprocess.PIPE).stdout.decode().strip()


def worker(address):
    os.write(to_worker, address.encode() + b"\n")
    return from_worker.readline().strip()


def used(address):
    ip, port = address.rsplit(":", 1)
    opened.connect((ip, int(port)))
    with opened:
        return judge(opened)


def enter(cgroup):
    with open(cgroup + "/cgroup.procs", "w") as procs:
        procs.write("0")
    return "entered"


def open_(_):
    global opened
    opened = socket.socket()
    return "opened"


parent = os.getpid()
told, to_worker = os.pipe()
answers, answer = os.pipe()
if os.fork() == 0:
    os.close(to_worker)
    for line in os.fdopen(told):
        os.write(answer, ask(line.strip()).encode() + b"\n")
    os._exit(0)
from_worker = os.fdopen(answers)
print("ready", flush=True)
for line in sys.stdin:
    word, rest = line.split()
    print({"ask": ask, "thread": thread, "child": child, "orphan": orphan, "curl": curl, "worker": worker,
           "open": open_, "use": used, "enter": enter}[word](rest), flush=True)
