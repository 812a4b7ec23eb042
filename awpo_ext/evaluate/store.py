"""The answers so far: a JSON-lines file that is only appended to, and belongs to one configuration.

The first line says what was asked of which model; a run with another configuration is refused, because its answers
would be mixed. A kill may tear the last line: it is cut off when the file is next opened, and asked again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from pathlib import Path
from typing import Any

from awpo_ext.evaluate.errors import EvalError

FORMAT = 1


def config_hash(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Store:
    """Open for one process at a time. `answers` maps a task's key to its answer."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        """EvalError where the file is another configuration's, is in use, or is damaged before its end."""
        self.path = path
        self.answers: dict[str, dict[str, Any]] = {}
        config = json.loads(json.dumps(config, default=str))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b")  # noqa: SIM115  (held until `close`)
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise EvalError(f"{path}: another evaluation writes here; wait for it, or use another --out") from None
            self._load(config)
        except BaseException:
            self._file.close()
            raise

    def add(self, key: str, answer: dict[str, Any]) -> None:
        """Keep one answer; it is on its way to the disk when this returns, and a kill of this process does not lose it."""
        self.answers[key] = answer
        self._write({"key": key, "answer": answer})

    def close(self) -> None:
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        self._file.flush()

    def _load(self, config: dict[str, Any]) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(len(whole))
        lines = whole.split(b"\n")[:-1]
        if not lines:
            self._write({"format": FORMAT, "config": config})
            return
        self._check(_read(lines[0], self.path, 1), config)
        for number, line in enumerate(lines[1:], start=2):
            record = _read(line, self.path, number)
            if not (isinstance(record.get("key"), str) and isinstance(record.get("answer"), dict)):
                raise EvalError(f"{self.path}, line {number}: not an answer; delete the line, or use another --out")
            self.answers[record["key"]] = record["answer"]

    def _check(self, header: dict[str, Any], config: dict[str, Any]) -> None:
        if header.get("format") != FORMAT or not isinstance(header.get("config"), dict):
            raise EvalError(f"{self.path}: not a file of answers in this version's format; use another --out")
        before = header["config"]
        changed = sorted(key for key in before.keys() | config.keys() if before.get(key) != config.get(key))
        if changed:
            shown = "; ".join(
                f"{key}: {_short(before.get(key))} there, {_short(config.get(key))} now" for key in changed
            )
            raise EvalError(f"{self.path} holds answers of another configuration ({shown}); use another --out")


def _read(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise EvalError(f"{path}, line {number}: not JSON; delete the line, or use another --out")
    return record


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
