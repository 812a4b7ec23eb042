"""A rubric as data: criteria in a file, each with a question, a weight and a scale. What good reasoning means is not code.

    {"criteria": [{"name": "grounding", "question": "Is every argument ..?", "weight": 2, "scale": [0, 10]}, ..]}

as JSON or YAML, with two more keys: `prompt`, the path of a prompt of your own beside the file, and `verdict`, "score" or
"yes_no". A weight of 0 is for what is only logged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from reward_models.judges.llm.echo import Echoes
from reward_models.judges.llm.verdict import Echo, Grade, Scale, read_scores
from reward_models.options import NotEmpty, Options, Range, Text, plain, require
from reward_models.types import Unscored

SUFFIXES = (".json", ".yaml", ".yml")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST, _MOST_CHARS = 16, 1000
_KEYS = ("criteria", "prompt", "verdict")


@dataclass(frozen=True)
class Criterion(Options, owner="a criterion"):
    """One thing that a thought is graded by.

    name: of the verdict's key and of the column `criterion_<name>`: small letters, digits and _.
    question: what the model is asked.
    weight: its share of the score is this over the sum of all, in [0, 1e6]; 0 for one that is only logged.
    scale: the lowest and the highest whole number that the model may give, in [0, 100].
    """

    name: Annotated[str, Text("a name")] = ""
    question: Annotated[str, Text("the question that the model answers")] = ""
    weight: Annotated[float, Range(0, 1e6)] = 1.0
    scale: Annotated[tuple[int, int], "the lowest and the highest number"] = (0, 10)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _NAME.fullmatch(self.name) or self.name == "reasons":
            raise ValueError(
                f"{self.owner}: name={self.name!r} must be small letters, digits and _, a letter first, and not 'reasons'"
            )
        if len(self.question) > _MOST_CHARS:
            raise ValueError(f"{self.owner}: question has {len(self.question)} characters; at most {_MOST_CHARS}")
        object.__setattr__(self, "question", " ".join(self.question.split()))
        Scale(*self.scale)

    def line(self) -> str:
        """As the prompt has it."""
        return f"- {self.name} (a whole number from {self.scale[0]} to {self.scale[1]}, which is best): {self.question}"


@dataclass(frozen=True)
class RubricData:
    """What a rubric's file says; `prompt` is the path of its prompt, None for the built-in frame."""

    criteria: tuple[Criterion, ...]
    prompt: Path | None
    verdict: str

    @property
    def plain(self) -> bool:
        """Whether it asks for what a prompt without a file of criteria does: `score` alone, or for yes_no, `fits`."""
        return [criterion.name for criterion in self.criteria] == ["fits" if self.verdict == "yes_no" else "score"]


def read_rubric_data(path: Path) -> RubricData:
    """ValueError, naming the file and the key, for what does not fit."""
    where = f"rubric {path.name!r}"
    try:
        found = _parse(path)
    except ImportError:
        raise ValueError(f"{where} is YAML, which needs `pip install pyyaml`; a .json file does not") from None
    except OSError as error:
        raise ValueError(f"rubric={str(path)!r} cannot be read: {error.strerror}; give the path of a file") from None
    except Exception as error:  # either parser's own errors
        raise ValueError(f"{where} cannot be read: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(found, Mapping) or set(found) - set(_KEYS):
        unknown = sorted(map(str, set(found) - set(_KEYS))) if isinstance(found, Mapping) else []
        raise ValueError(f"{where} must be a mapping with the keys {', '.join(_KEYS)}; unknown: {unknown or 'none'}")
    kind = Annotated[tuple[Any, ...], NotEmpty()]
    given = require(where, "criteria", plain(found.get("criteria") or ()), kind)
    criteria = tuple(_criterion(item, i, where) for i, item in enumerate(given, 1))
    names = [criterion.name for criterion in criteria]
    if len(criteria) > _MOST or len(set(names)) < len(names):
        raise ValueError(
            f"{where}: criteria must be at most {_MOST}, each with a name of its own; found: {', '.join(names)}"
        )
    if not sum(criterion.weight for criterion in criteria) > 0:
        raise ValueError(f"{where}: every criterion has weight=0, which is only logged; give one of them a weight")
    prompt = found.get("prompt")
    if prompt is not None:
        prompt = (
            path.parent
            / Path(require(where, "prompt", prompt, Annotated[str, Text("the path of a prompt")])).expanduser()
        )
    return RubricData(criteria, prompt, str(found.get("verdict", "score")))


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    import yaml

    return yaml.safe_load(text)


def _criterion(item: Any, number: int, where: str) -> Criterion:
    try:
        return Criterion.read(
            require("a criterion", "criteria", item, Annotated[Mapping, "mappings with name and question"])
        )
    except ValueError as error:
        raise ValueError(f"{where}, criterion {number}: {error}") from None


def asked_verdict(criteria: Sequence[Criterion]) -> str:
    """The form of the verdict, as a prompt shows it."""
    return "{" + ", ".join(['"reasons": "..."', *(f'"{criterion.name}": N' for criterion in criteria)]) + "}"


def scales_of(criteria: Sequence[Criterion]) -> dict[str, Scale]:
    return {criterion.name: Scale(*criterion.scale) for criterion in criteria}


def read_criteria(answer: str, criteria: Sequence[Criterion], echoes: Echoes) -> Grade | Unscored:
    """The grade of a verdict with a number for each criterion, as `verdict.read_verdict`: the value is the weighted mean.

    The lowest everywhere where the verdict is one that the response itself holds.
    """
    scales = scales_of(criteria)
    found = read_scores(answer, scales, echoes)
    if isinstance(found, Unscored):
        return found
    if isinstance(found, Echo):
        lowest = dict.fromkeys(scales, 0.0)
        return Grade(0, 0.0, "(a verdict that the response itself holds)", echoed=True, criteria=lowest)
    units = {name: scale.to_unit(found[name]) for name, scale in scales.items()}
    total = sum(criterion.weight for criterion in criteria)
    value = sum(criterion.weight * units[criterion.name] for criterion in criteria) / total
    value = min(1.0, max(0.0, value))
    return Grade(round(100 * value), value, found["reasons"], criteria=units)
