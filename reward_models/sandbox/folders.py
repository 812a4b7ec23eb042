"""Remove a folder that a task has filled, whatever it made of it: any depth, any number of entries, folders of mode 0."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_folder(folder: str) -> bool:
    """Whether `folder` is gone. Never raises; for a folder that nobody changes meanwhile.

    Nothing recurses and no path grows: the folders inside are moved up into `folder`, under new names, and emptied
    there one after the other. Symbolic links are removed, never followed.
    """
    try:
        _empty(folder)
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except Exception:  # whatever it is, the caller must go on
        return False
    return True


def _empty(folder: str) -> None:
    top = os.open(folder, _OPEN)
    try:
        prefix = secrets.token_hex(8)  # no name that a task could have chosen
        names = (f"{prefix}-{number}" for number in itertools.count())
        moved = _take_apart(top, top, names)
        while moved:
            name = moved.pop()
            inner = os.open(name, _OPEN, dir_fd=top)
            try:
                moved += _take_apart(inner, top, names)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _take_apart(folder: int, top: int, names: Iterator[str]) -> list[str]:
    """Unlink the files in `folder` and move its folders into `top`; returns their new names."""
    moved = []
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
            continue
        os.chmod(entry.name, 0o700, dir_fd=folder)
        moved.append(next(names))
        os.rename(entry.name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
    return moved
