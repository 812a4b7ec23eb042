"""What every scorer's folder says of its training: hashes of the sources that were trained on, and hashes of files."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

SOURCES = "awpo_sources.txt"


def write_sources(folder: Path, sources: Iterable[str]) -> None:
    lines = sorted({_source_hash(source) for source in sources})
    (folder / SOURCES).write_text("\n".join(lines) + "\n", encoding="utf-8")


def trained_on(folder: Path, sources: Iterable[str]) -> list[str]:
    """Those of `sources` that the scorer was trained on; ValueError where the folder does not say."""
    try:
        seen = set((folder / SOURCES).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder / SOURCES}: cannot be read ({error}), so it is not known what is held out") from None
    return sorted({source for source in sources if _source_hash(source) in seen})


def refuse_trained_on(folder: Path, sources: Iterable[str], data: object) -> None:
    """ValueError where some of the sources of `data` were trained on."""
    if seen := trained_on(folder, sources):
        raise ValueError(f"{data}: {len(seen)} of its sources were trained on ({seen[0]!r}, ..): use rows not seen yet")


def _source_hash(source: str) -> str:
    return sha256(source.encode("utf-8", "replace")).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with open(path, "rb") as file:
        digest = sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
