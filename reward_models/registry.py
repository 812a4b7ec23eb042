"""Choose a judge or a verifier by one key: a known short name, or `package.module:Class` for one's own."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def build(kind: str, name: Any, options: Mapping[str, Any], known: Mapping[str, str], base: type[T]) -> T:
    """Return an instance of the class that `name` stands for.

    Args:
        kind: "judge" or "verifier"; also the key's name in error messages.
        name: a key of `known`, or `package.module:Class`.
        options: keyword arguments of the class.
        known: short name -> `package.module:Class`; imported only when chosen.
        base: what the class must derive from.

    Raises ValueError where the name is unknown, its class is missing or of the wrong kind, or the options do not fit.
    """
    cls = _load_class(kind, name, known, base)
    try:
        inspect.signature(cls).bind(**options)
    except TypeError as error:
        given = ", ".join(map(repr, options)) or "(none)"  # not their values, which may be secrets
        raise ValueError(f"{kind}={name!r}: its options {given} do not fit {cls.__name__}: {error}") from None
    return cls(**options)


def _load_class(kind: str, name: Any, known: Mapping[str, str], base: type[T]) -> type[T]:
    if not isinstance(name, str) or (name not in known and ":" not in name):
        names = ", ".join(repr(item) for item in sorted(known))
        raise ValueError(f"{kind}={name!r} is not known; known: {names}, or 'package.module:Class' for your own")
    module_name, _, class_name = known.get(name, name).partition(":")
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{kind}={name!r} cannot be imported: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise ValueError(f"{kind}={name!r} must be a subclass of {base.__module__}.{base.__qualname__}, got {cls!r}")
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))  # type: ignore[attr-defined]
        raise ValueError(f"{kind}={name!r} does not implement: {missing}")
    return cls
