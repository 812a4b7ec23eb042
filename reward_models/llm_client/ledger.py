"""Where the tokens, the money and the time of a judge went: one JSON line a call, and running totals.

In a Ray job whose trainer asks for it, the totals of all processes are gathered step by step: see `job_steps`.

Each line is one appending write of less than a page, so the processes of a job may share the file (on a local disk).
No prompt, no answer and no key is written. An unwritable file is reported once and costs no call; a line not
written is still in the totals.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from reward_models.llm_client.step_stats import StepReporter
from reward_models.llm_client.tally import count
from reward_models.llm_client.totals import Entry, Totals
from reward_models.private_files import private_fd

logger = logging.getLogger(__name__)


class Ledger:
    """Totals of this client, the lines of `path` where it is not None, and what goes into the totals of the job's step."""

    def __init__(self, path: str | os.PathLike[str] | None, model: str) -> None:
        self.totals = Totals()
        self.labels: dict[str, str] = {}  # further columns of each line
        self._path = None if path is None else Path(path).expanduser()
        self._model = model
        self._file: int | None = None
        self._off = False
        self._lock = threading.Lock()
        self._reporter = StepReporter(self._path)

    def add(self, entry: Entry) -> None:
        """Called in a running loop."""
        self.totals.add(entry)
        count(entry)
        self._reporter.add(entry)
        if self._path is None or self._off:
            return
        stamp = {"time": round(time.time(), 3), "pid": os.getpid(), "model": self._model, **self.labels}
        line = json.dumps({**stamp, **asdict(entry)}).encode() + b"\n"
        try:
            with self._lock:
                if self._file is None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._file = private_fd(self._path)
                os.write(self._file, line)
        except OSError as error:
            self._off = True
            logger.error("The judge's ledger %s cannot be written: %s", self._path, error)

    def close(self) -> None:
        self._reporter.send()
        with self._lock, suppress(OSError):
            if self._file is not None:
                os.close(self._file)
            self._file = None
