"""run.json: what was run, once a start. No secrets: neither under keys that name them nor as values of the environment."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from awpo_ext import __version__
from awpo_ext.record.schema import FORMAT, VERSION, RecordError

PACKAGES = ("verl", "vllm", "torch", "transformers", "ray")
HIDDEN = "(hidden)"
_SECRET_KEY = re.compile(
    r"(api_?key|access_?key|secret(_?key)?|private_?key|password|passwd|authorization|credentials?|(^|_)token)$", re.I
)
_SECRET_VARIABLE = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.I)
_QUERY = re.compile(r"(://[^\s?#]*\?)[^\s#]+")
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_LARGEST = 512 * 2**20  # hashing it takes about a second
_SHORTEST = 8  # a shorter value of a variable would be found by chance


class Secrets:
    """The values of this process's environment that must not be written down.

    variables: names of further ones, whatever they are called: those that the configuration says hold a key.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, variables: Iterable[str] = ()) -> None:
        named = set(variables)
        found = {
            value
            for name, value in environment.items()
            if (name in named or _SECRET_VARIABLE.search(name)) and len(value) >= _SHORTEST
        }
        self._values = sorted(found, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text without them, and without user names and passwords in URLs."""
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return _USER_INFO.sub(HIDDEN, text) if "://" in text else text

    def clean(self, value: Any) -> Any:
        """A configuration without the values of secret keys, without these values and without the queries of URLs.

        Only JSON's types are left, and null for infinities.
        """
        if isinstance(value, Mapping):
            hidden = {
                str(k): HIDDEN if v and isinstance(v, str) and _SECRET_KEY.search(str(k)) else v
                for k, v in value.items()
            }
            return {self.hide(key): self.clean(item) for key, item in hidden.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None  # JSON has no such number
        if value is None or isinstance(value, bool | int | float):
            return value
        return _QUERY.sub(rf"\1{HIDDEN}", self.hide(str(value)))


def start_of(
    step: int, awpo: Mapping[str, Any], reward: Mapping[str, Any], files: Iterable[str | Path], secrets: Secrets
) -> dict[str, Any]:
    """One start of the run, for run.json.

    Args:
        step: the step that the run goes on from, 0 at first.
        awpo: the resolved `algorithm.awpo`.
        reward: path, name and reward_kwargs of the reward function.
        files: whose contents are hashed: data, a scorer's folder, a rubric.
    """
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "step": step,
        "awpo": secrets.clean(awpo),
        "reward": secrets.clean(reward),
        "versions": {"awpo-ext": __version__, **{name: _version(name) for name in PACKAGES}},
        "hashes": {secrets.hide(str(path)): digest for path in files if (digest := _digest(Path(path).expanduser()))},
    }


def write_run(folder: Path, start: Mapping[str, Any], name: str, config: Mapping[str, Any], secrets: Secrets) -> int:
    """Add a start to run.json, or make it; the number of the start. RecordError where the file there is not ours."""
    file = folder / "run.json"
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "name": name, "starts": []}
    if file.exists():
        try:
            head = json.loads(file.read_text(encoding="utf-8"))
            known = head["format"] == FORMAT and head["version"] <= VERSION and isinstance(head["starts"], list)
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{file} is damaged; move its folder away, or set another path") from error
        if not known:
            raise RecordError(f"{file} is not a record of this awpo-ext; set another path")
    head["starts"] = [*head["starts"], start]
    head["config"] = secrets.clean(config)
    half = file.with_name(f"run.json.{os.getpid()}.part")
    half.write_text(json.dumps(head, indent=1), encoding="utf-8")
    os.replace(half, file)
    return len(head["starts"]) - 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, or of the names and contents of a folder's files; None where there is neither."""
    if path.is_file():
        size = path.stat().st_size
        return _of_file(path) if size <= _LARGEST else f"not hashed, {size} bytes"
    if not path.is_dir():
        return None
    whole = hashlib.sha256()
    for file in sorted(child for child in path.rglob("*") if child.is_file()):
        whole.update(f"{file.relative_to(path)}\0{_digest(file)}\0".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def _of_file(path: Path) -> str:
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()
