"""What a training run's processes hold while it runs, seen from outside."""

import threading

import psutil


class Watch:
    """Samples the memory and the sockets to `port` of those descendants of `pid` whose command line has `name` in it."""

    def __init__(self, pid: int, name: str, port: int) -> None:
        self.memory: list[int] = []  # bytes, one a sample
        self.sockets: list[int] = []
        self._root, self._name, self._port = psutil.Process(pid), name, port
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._done.wait(1.0):
            try:
                found = [p for p in self._root.children(recursive=True) if self._name in " ".join(p.cmdline())]
                if found:
                    self.memory.append(sum(p.memory_info().rss for p in found))
                    self.sockets.append(sum(self._to_port(p) for p in found))
            except psutil.Error:  # one of them ended
                continue

    def _to_port(self, process: psutil.Process) -> int:
        connections = process.net_connections("tcp")
        return sum(bool(one.raddr) and one.raddr.port == self._port for one in connections)
