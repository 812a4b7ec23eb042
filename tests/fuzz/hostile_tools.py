"""Tools for `fuzz_reward.py`: honest ones, and `act`, which does what arguments could talk a careless tool into."""

import os
import signal
import time

from tests.reward_models.sandbox import hostile

__all__ = ["act", "add", "echo"]

VERDICT = '{"status": "ok", "value": [{"results": [["returned", 1]], "state": {}}]}'


def add(a, b):
    return a + b


def echo(value):
    return value


def _sleep():
    time.sleep(60)


def _spin():
    while True:
        pass


def _deep():
    value = []
    for _ in range(5000):
        value = [value]
    return value


def _ignore_and_spin():
    for number in (signal.SIGXCPU, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _spin()


ACTS = {
    "tree": lambda: hostile.leave_a_deep_tree(600),
    "closed": lambda: hostile.leave_closed_folders(5),
    "files": lambda: [open(f"file{number}", "w").close() for number in range(200)],
    "forge": lambda: hostile.write_as_the_worker(VERDICT),
    "unavailable": lambda: hostile.write_as_the_worker('{"status": "unavailable", "detail": ""}'),
    "noise": lambda: hostile.write_as_the_worker("[" * 10_000),
    "signals": lambda: hostile.ask_for_signals(os.getppid()),
    "limits": lambda: hostile.kill_by_rlimit(None),
    "orphan": lambda: hostile.outlive_the_parent(None),
    "exit": lambda: os._exit(0),
    "abort": os.abort,
    "fork": os.fork,
    "kill": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "memory": lambda: bytearray(1 << 34),
    "large": lambda: "x" * (2 << 20),
    "deep": _deep,
    "recurse": lambda: ACTS["recurse"](),
    "leave": lambda: (_ for _ in ()).throw(SystemExit(0)),
    "generator": lambda: (number for number in range(3)),
}
SLOW_ACTS = {
    "sleep": _sleep,
    "spin": _spin,
    "ignore": _ignore_and_spin,
    "close": lambda: hostile.close_everything_and_stay(60),
}


def act(kind):
    return {**ACTS, **SLOW_ACTS}[kind]()


class Box:
    """A tool with a state, for the verifier `state`."""

    def __init__(self, value=0):
        self.value = value

    def put(self, value):
        self.value = value
        return True

    def act(self, kind):
        self.value = act(kind)
        return self.value
