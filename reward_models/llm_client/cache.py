"""Answers on disk, shared by the processes of one machine: sqlite in WAL mode.

sqlite and not `diskcache`: it is in the standard library, holds no pickles (which run code when read), and lets every
row carry a checksum. The folder must be on a local disk: WAL does not work over a network, so each machine has its own.

An error of the cache never fails a call: the answer is asked for, or not kept, and the error is logged once. One that is
locked by another process costs a second: it is then left alone for a while, so no call waits for it beyond its deadline.
A damaged file is replaced: the folder's file with the highest number is the one in use, so a name is never used again
while another process may still hold the old file. A row whose checksum does not fit is dropped.

Answers are kept as the model sent them; keys are hashes, and no prompt and no API key is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reward_models.errors import UserError
from reward_models.private_files import lock_held, private_fd

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FILE = re.compile(r"answers-(\d{1,9})\.sqlite3")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL, stored REAL NOT NULL);
CREATE INDEX IF NOT EXISTS by_age ON answers (stored);
"""
_BUSY_S = 1.0
_REST_S = 10.0  # after a lock that was not given up in _BUSY_S
_CLOSE_S = 5.0
_MAX_REPLACEMENTS = 3
_AGE_CHECK_S = 60.0


@dataclass(frozen=True)
class CacheStats:
    """entries, bytes on disk, and the age in days of the oldest and the newest entry, None where there is none."""

    entries: int
    bytes: int
    oldest_days: float | None
    newest_days: float | None


class AnswerCache:
    """The cache for one client: all work on the disk is done in a thread of its own, in the order of the calls.

    Over `max_bytes` the oldest answers go, whoever stored them; those older than `max_age_s` are not found any more.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: float, max_age_s: float) -> None:
        self._folder = Path(folder).expanduser()
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="awpo-judge-cache")
        self._connection: sqlite3.Connection | None = None
        self._path = self._folder  # of the file in use
        self._replacements = 0
        self._off = self._trouble_logged = False
        self._rests_until = 0.0
        self._ages_checked = time.monotonic()

    async def get(self, key: bytes, deadline: float = math.inf) -> dict[str, Any] | None:
        """The answer stored under `key`, None where there is none that can be used, or not before `deadline`, which is a
        time of `time.monotonic`: half of what is left until then is kept for asking.
        """
        now = time.monotonic()
        if now < self._rests_until:
            return None
        found = asyncio.get_running_loop().run_in_executor(self._thread, self._safely, self._get, key)
        try:
            return await asyncio.wait_for(found, min(2 * _BUSY_S, max(0.0, deadline - now) / 2))
        except asyncio.TimeoutError:
            return None

    def put(self, key: bytes, answer: dict[str, Any]) -> None:
        """Store soon; returns at once. After `aclose` nothing is stored."""
        with suppress(RuntimeError):
            self._thread.submit(self._safely, self._put, key, json.dumps(answer).encode())

    async def aclose(self) -> None:
        """Return when all is stored and the file is closed."""
        try:
            closing = self._thread.submit(self._disconnect)
        except RuntimeError:  # closed before
            return
        self._thread.shutdown(wait=False)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(closing), _CLOSE_S)

    def _get(self, connection: sqlite3.Connection, key: bytes) -> dict[str, Any] | None:
        oldest = time.time() - self._max_age_s
        row = connection.execute(
            "SELECT value, digest FROM answers WHERE key = ? AND stored >= ?", (key, oldest)
        ).fetchone()
        if row is None:
            return None
        value, digest = row
        if digest == _digest(key, value):
            with suppress(ValueError):
                return json.loads(value)
        self._say_once(f"an entry of the judge's cache in {self._folder} is damaged; such entries are dropped")
        connection.execute("DELETE FROM answers WHERE key = ?", (key,))
        return None

    def _put(self, connection: sqlite3.Connection, key: bytes, value: bytes) -> None:
        row = (key, value, _digest(key, value), time.time())
        connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)
        now = time.monotonic()
        if now - self._ages_checked > _AGE_CHECK_S:
            self._ages_checked = now
            connection.execute("DELETE FROM answers WHERE stored < ?", (time.time() - self._max_age_s,))
        if _used_bytes(connection) > self._max_bytes:
            while _used_bytes(connection) > 0.9 * self._max_bytes:
                oldest = "SELECT key FROM answers ORDER BY stored LIMIT 64"
                if not connection.execute(f"DELETE FROM answers WHERE key IN ({oldest})").rowcount:
                    break

    def _safely(self, work: Callable[..., T], *arguments: Any) -> T | None:
        """`work(connection, ...)`, in the cache's thread; None where the cache is in trouble."""
        while not self._off and time.monotonic() >= self._rests_until:
            try:
                if self._connection is not None and not self._path.exists():  # another process has replaced it
                    self._disconnect()
                if self._connection is None:
                    self._path = _newest_or_first(self._folder)
                    self._connection = _connect(self._path)
                return work(self._connection, *arguments)
            except (OSError, sqlite3.Error) as error:
                if not _is_damage(error):  # busy, a full disk: perhaps not the next time
                    if _is_lock(error):
                        self._rests_until = time.monotonic() + _REST_S
                    self._say_once(f"the judge's cache in {self._folder} cannot be used ({error}); going on without")
                    return None
                self._replace(error)
        return None

    def _replace(self, error: Exception) -> None:
        self._disconnect()
        self._replacements += 1
        try:
            if self._replacements > _MAX_REPLACEMENTS:
                raise OSError("it was damaged again and again")
            logger.warning("The judge's cache in %s is damaged (%s); starting an empty one", self._folder, error)
            _replace(self._path)
        except (OSError, sqlite3.Error) as failure:
            self._off = True
            logger.error("The judge's cache in %s is switched off: %s", self._folder, failure)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _say_once(self, message: str) -> None:
        if not self._trouble_logged:
            self._trouble_logged = True
            logger.warning("%s", message)


def cache_stats(folder: str | os.PathLike[str]) -> CacheStats:
    """What the cache in `folder` holds. FileNotFoundError where there is none, UserError where it is damaged."""
    with _existing(folder) as (connection, path):
        entries, oldest, newest = connection.execute(
            "SELECT count(*), min(stored), max(stored) FROM answers"
        ).fetchone()
        size = sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))
        ages = [None if stored is None else (time.time() - stored) / 86400 for stored in (oldest, newest)]
        return CacheStats(entries, size, *ages)


def clear_cache(folder: str | os.PathLike[str]) -> int:
    """Forget all answers, also for the processes that use them now; returns how many. Errors as `cache_stats`."""
    with _existing(folder) as (connection, _):
        removed = connection.execute("DELETE FROM answers").rowcount
        connection.execute("PRAGMA incremental_vacuum").fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return removed


@contextmanager
def _existing(folder: str | os.PathLike[str]) -> Iterator[tuple[sqlite3.Connection, Path]]:
    path = _newest(Path(folder).expanduser())
    if path is None:
        raise FileNotFoundError(f"{folder} holds no cache of a judge")
    try:
        connection = _connect(path)
        try:
            yield connection, path
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise UserError(f"{path}: is damaged ({error}); remove it, and the judge makes a new one") from error


def _newest_or_first(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _newest(folder)
    if path is None:
        with lock_held(folder / "lock", _BUSY_S):
            path = _newest(folder) or _create(folder, 1)
    return path


def _replace(damaged: Path) -> None:
    """Start a file with a new number, unless another process has done so already, and remove the damaged one."""
    folder = damaged.parent
    with lock_held(folder / "lock", _BUSY_S):
        newest = _newest(folder)
        if newest is None or newest == damaged:
            _create(folder, _number_of(damaged) + 1)
            for file in folder.glob(damaged.name + "*"):
                file.unlink(missing_ok=True)


def _create(folder: Path, number: int) -> Path:
    """Built under another name first: nobody sees a file without its table."""
    path, draft = folder / f"answers-{number}.sqlite3", folder / f"draft-{number}.sqlite3"
    draft.unlink(missing_ok=True)
    os.close(private_fd(draft))  # the files that sqlite adds beside it have its mode
    connection = sqlite3.connect(draft)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.executescript(_SCHEMA)
    finally:
        connection.close()
    draft.rename(path)
    return path


def _connect(path: Path) -> sqlite3.Connection:
    # Each statement its own transaction; one thread at a time, but not always the same one.
    with suppress(OSError):
        path.chmod(0o600)  # one of an earlier version
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("SELECT 1 FROM answers LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _newest(folder: Path) -> Path | None:
    paths = [path for path in folder.glob("answers-*.sqlite3") if _FILE.fullmatch(path.name)]
    return max(paths, key=_number_of, default=None)


def _number_of(path: Path) -> int:
    named = _FILE.fullmatch(path.name)
    return int(named[1]) if named else 0


def _is_damage(error: Exception) -> bool:
    """DatabaseError itself: not a database, malformed. A file of another make, or cut short, gives the others."""
    return type(error) is sqlite3.DatabaseError or (
        isinstance(error, sqlite3.OperationalError) and any(text in str(error) for text in ("disk I/O", "no such"))
    )


def _is_lock(error: Exception) -> bool:
    return isinstance(error, BlockingIOError) or (
        isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    )


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")}
    return (pages["page_count"] - pages["freelist_count"]) * connection.execute("PRAGMA page_size").fetchone()[0]


def _digest(key: bytes, value: Any) -> bytes:
    return hashlib.sha256(key + bytes(value)).digest()[:8] if isinstance(value, bytes) else b""
