"""A user's prompt file, or a built-in one: how it is read, its hash, and where its placeholders are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from reward_models.judges.llm.shown import PLACEHOLDER

_RENDERING = 2  # of how texts are shown; part of the hash, since it changes the prompt as the file does
_MAX_CHARS = 100_000


@dataclass(frozen=True)
class PromptFile:
    """A checked prompt; `hash` is 12 hex digits for its text and for how texts are shown in it."""

    name: str
    text: str
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        digest = sha256(f"{_RENDERING}\n{self.text}".encode()).hexdigest()
        object.__setattr__(self, "hash", digest[:12])

    @property
    def version(self) -> str:
        """Name and hash, for records."""
        return f"{self.name}@{self.hash}"


def read_prompt(source: str | None, built_in: Path) -> tuple[str, str, str]:
    """Name, stripped text, and what messages call the file, of `source` or else `built_in`; ValueError with the fix."""
    path = built_in if source is None else Path(source).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"rubric={source!r} cannot be read: {reason}; give the path of a text file") from None
    where = f"rubric {path.name!r}"
    if len(text) > _MAX_CHARS:
        raise ValueError(f"{where} has {len(text)} characters; at most {_MAX_CHARS} are read")
    return path.stem, text.strip(), where


def places_of(text: str, where: str, known: Collection[str], needed_by: str = "") -> dict[str, list[int]]:
    """Placeholder -> its places; ValueError where one is not in `known`, or one of those is missing.

    "reference" is unknown where no reference is shown.
    """
    places: dict[str, list[int]] = {}
    for found in PLACEHOLDER.finditer(text):
        places.setdefault(found[1], []).append(found.start())
    if "reference" in places and "reference" not in known:
        raise ValueError(f"{where} shows {{{{reference}}}}: set reference=true, or remove the placeholder")
    for name in places:
        if name not in known:
            raise ValueError(f"{where} has an unknown placeholder {braced(name)}{needed_by}; known: {braced(*known)}")
    missing = set(known) - set(places)
    if missing:
        hint = "" if "reference" not in missing else "; without {{reference}}, set reference=false"
        raise ValueError(
            f"{where} lacks the placeholder {braced(*missing)}{needed_by}; write it where that text belongs{hint}"
        )
    return places


def require_in_fence(places: dict[str, list[int]], name: str, inside: range, where: str) -> None:
    """ValueError unless the placeholder occurs once, `inside` the fence."""
    if len(places[name]) != 1 or places[name][0] not in inside:
        raise ValueError(
            f"{where} must hold {braced(name)} once, between a line with {{{{nonce}}}} and another: that is the "
            "fence around what the policy wrote"
        )


def require_before_fence(places: dict[str, list[int]], name: str, where: str) -> None:
    """ValueError where the placeholder occurs after the fence begins."""
    if any(place > places["nonce"][0] for place in places.get(name, ())):
        raise ValueError(f"{where} must hold {braced(name)} before the first {{{{nonce}}}}: the response comes last")


def braced(*names: str) -> str:
    """The placeholders as they are written, sorted."""
    return ", ".join("{{" + name + "}}" for name in sorted(names))
