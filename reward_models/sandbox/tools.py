"""Which functions of a module are tools: those of its `__all__`, and those that are marked with `@tool`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__tool_name__"


def tool(name: str | None = None) -> Callable[[Function], Function]:
    """Mark a function as a tool, under a name of its own where that is no Python name (`math.factorial`)."""

    def mark(function: Function) -> Function:
        setattr(function, _MARK, name or function.__name__)
        return function

    return mark


def tools_of(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The module's tools by name. ValueError where it has none: without that list, nothing may be called."""
    tools = {}
    for value in vars(module).values():
        if callable(value) and not isinstance(value, type) and isinstance(getattr(value, _MARK, None), str):
            tools[getattr(value, _MARK)] = value
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name, None)
        if callable(value) and not isinstance(value, type):
            tools.setdefault(name, value)
    if not tools:
        raise ValueError(f"{module.__name__} offers no tools: list functions in __all__ or mark them with @tool()")
    return tools


def methods_of(instance: Any) -> dict[str, Callable[..., Any]]:
    """The methods of an instance that are tools: all that do not start with an underscore."""
    kind = type(instance)
    public = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    return {
        name: getattr(instance, name)
        for name, value in public.items()
        if callable(value) and not isinstance(value, type)
    }
