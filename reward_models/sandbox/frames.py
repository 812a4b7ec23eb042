"""Messages between the pool and a worker: JSON behind a length of four bytes. Never pickle: it would run code."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

_LENGTH = struct.Struct(">I")


def encode(message: Any) -> bytes:
    """ValueError where `message` is not JSON; NaN and infinities pass."""
    return json.dumps(message).encode()


def send(channel: socket.socket, body: bytes, deadline: float | None = None) -> None:
    """TimeoutError after `deadline` (of time.monotonic), OSError where the other side is gone."""
    channel.settimeout(_left(deadline))
    channel.sendall(_LENGTH.pack(len(body)) + body)


def receive(channel: socket.socket, limit: int, deadline: float | None = None) -> bytes:
    """One message; EOFError where the other side is gone, OverflowError for one of more than `limit` bytes."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size, deadline))
    if length > limit:
        raise OverflowError(f"a message of {length} bytes; allowed are {limit}")
    return _exactly(channel, length, deadline)


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    parts = []
    while size:
        channel.settimeout(_left(deadline))
        part = channel.recv(min(size, 1 << 20))
        if not part:
            raise EOFError("the other side closed the channel")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("deadline passed")
    return left
