"""Tools for the tests of the sandbox and the mode `exec`; some of them do whatever hostile arguments could talk them into."""

import ctypes
import itertools
import os
import signal
import socket
import sys
import threading
import time

from reward_models.sandbox import tool

__all__ = ["add", "area", "boom", "greet", "leave", "lookup", "price", "spin", "strange", "touch"]

counter = 0
_libc = ctypes.CDLL(None, use_errno=True)


def add(a, b):
    return a + b


def area(base, height, unit="cm2"):
    return {"area": base * height / 2, "unit": unit}


def price(city):
    return {"New York": 10, "NYC": 10, "Berlin": 7}[city]


def lookup(query):
    return {"query": query}


def greet(name):
    print(name)
    return True


def touch(name):
    return True


def boom(message="no"):
    raise KeyError(message)


def leave(status=0):
    sys.exit(status)


def spin(seconds=1e9):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def strange():
    return (number for number in range(3))


def hidden():
    return "not listed in __all__"


@tool(name="math.factorial")
def factorial(n):
    product = 1
    for k in range(2, n + 1):
        product *= k
    return product


# What follows is called as a job of the sandbox: one payload.


def echo(payload):
    return payload


def sleep(payload):
    time.sleep(payload)


def job_raises(payload):
    raise LookupError(f"no {payload}")


def never_ends(payload):
    while True:
        pass


def ignores_signals_and_never_ends(payload):
    for number in (signal.SIGXCPU, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


def fork_bomb(payload):
    while True:
        os.fork()


def native_processes(payload):
    """The error of each way to a new process that does not pass Python's audit hook."""
    return [_errno(_libc.fork()), _errno(_libc.vfork()), _errno(_libc.system(b"true")), _errno(_libc.setsid())]


def environment(payload):
    with open("/proc/self/environ", "rb") as file:
        return {"os": dict(os.environ), "proc": file.read().decode()}


def parents_environment(payload):
    """What can be read of the environment of any other process."""
    seen = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        descriptor = _libc.open(f"/proc/{pid}/environ".encode(), os.O_RDONLY)  # past the audit hook
        if descriptor >= 0:
            seen.append(os.read(descriptor, 1 << 16).decode(errors="replace"))
    try:
        with open(f"/proc/{os.getppid()}/environ") as file:
            seen.append(file.read())
    except PermissionError:
        pass
    return "".join(seen)


def write_outside(path):
    """The errors of every way to change something at `path`, a folder that holds a file `old`."""
    old, new = os.path.join(path, "old"), os.path.join(path, "new")
    attempts = [
        lambda: os.open(new, os.O_CREAT | os.O_WRONLY),
        lambda: os.open(old, os.O_WRONLY | os.O_APPEND),
        lambda: os.remove(old),
        lambda: os.rename(old, new),
        lambda: os.mkdir(new),
        lambda: os.symlink(old, new),
        lambda: os.link(old, new),
        lambda: os.truncate(old, 0),
        lambda: os.chmod(old, 0o777),
        lambda: os.utime(old),
        lambda: os.open(os.path.join("..", "..", "new"), os.O_CREAT | os.O_RDWR),
    ]
    return [_error(attempt) for attempt in attempts]


def write_outside_natively(path):
    """The same past Python's audit hook."""
    old, new = os.fsencode(os.path.join(path, "old")), os.fsencode(os.path.join(path, "new"))
    return [
        _errno(_libc.open(new, os.O_CREAT | os.O_WRONLY, 0o644)),
        _errno(_libc.open(old, os.O_WRONLY | os.O_TRUNC)),
        _errno(_libc.unlink(old)),
        _errno(_libc.rename(old, new)),
        _errno(_libc.mkdir(new, 0o755)),
        _errno(_libc.symlink(old, new)),
        _errno(_libc.truncate(old, 0)),
        _errno(_libc.chmod(old, 0o777)),
    ]


def write_inside(text):
    os.mkdir("folder")
    with open("folder/file", "w") as file:
        file.write(text)
    os.rename("folder/file", "moved")
    with open("moved") as file:
        return {"text": file.read(), "folder": os.getcwd(), "files": sorted(os.listdir("."))}


def write_large_file(payload):
    with open("large", "wb") as file:
        while True:
            file.write(b"0" * (1 << 20))


def open_socket(port):
    return [
        _error(lambda: socket.create_connection(("127.0.0.1", port), timeout=1)),
        _error(lambda: socket.socket(socket.AF_UNIX)),
        _errno(_libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)),
    ]


def run_asyncio(payload):
    import asyncio

    async def double():
        await asyncio.sleep(0)
        return 2 * payload

    return asyncio.run(double())


def count_threads(payload):
    done = []
    thread = threading.Thread(target=done.append, args=(payload,))
    thread.start()
    thread.join()
    return done


def thread_bomb(payload):
    forever = threading.Event()
    while True:
        threading.Thread(target=forever.wait, daemon=True).start()


def huge_memory(payload):
    return len(bytearray(1 << 40))


def growing_memory(payload):
    kept = []
    for _ in itertools.count():
        kept.append(bytearray(1 << 20))


def huge_result(size):
    return "x" * size


def print_gigabytes(payload):
    line = "x" * (1 << 20)
    for _ in range(4096):
        print(line)
        sys.stderr.write(line)
    return "done"


def kill_parent(payload):
    parent = os.getppid()
    return [
        _error(lambda: os.kill(parent, signal.SIGKILL)),
        _error(lambda: os.killpg(0, signal.SIGKILL)),
        _errno(_libc.kill(parent, signal.SIGKILL)),
        _errno(_libc.kill(0, signal.SIGKILL)),
        _errno(_libc.kill(-1, signal.SIGKILL)),
    ]


def raise_own_limits(payload):
    import resource

    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    return [_error(lambda limit=limit: resource.setrlimit(limit, unlimited)) for limit in (0, resource.RLIMIT_AS)]


def exit_now(status):
    os._exit(status)


def segfault(payload):
    ctypes.string_at(0)


def kill_itself(payload):
    os.abort()


def monkey_patch(payload):
    global counter
    counter += 1
    import json

    json.dumps = lambda *_, **__: '{"status": "ok", "value": "patched"}'
    sys.modules["reward_models.sandbox.jobs"].snapshot = lambda _: "patched"
    os.environ["LEFT"] = "over"
    return counter


def patched_state(payload):
    return {"counter": counter, "left": os.environ.get("LEFT"), "files": os.listdir(".")}


def _error(attempt):
    try:
        attempt()
    except Exception as error:
        return type(error).__name__
    return "done"


def _errno(result):
    return ctypes.get_errno() if result != 0 else 0
