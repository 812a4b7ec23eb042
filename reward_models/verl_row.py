"""What verl passes to a reward function, as a rollout, and how a bad row is named in an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reward_models.rollout_view import with_opened_thought
from reward_models.types import Rollout


def rollout_of(
    data_source: str,
    solution_str: str | None,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None,
    thought_opened: bool = False,
) -> Rollout:
    """The rollout, of a prompt that ends in an open thought or does not; ValueError, naming the row, where the ground truth
    is not a text or is blank."""
    extra_info = with_opened_thought(extra_info or {}) if thought_opened else extra_info or {}
    if not isinstance(ground_truth, str) or not ground_truth or ground_truth.isspace():
        given = "blank" if isinstance(ground_truth, str) else f"of type {type(ground_truth).__name__}"
        raise ValueError(
            f"no ground truth ({_where(data_source, extra_info)}): reward_model.ground_truth is {given} and must be a text; "
            "where it is a list or an object, write its JSON text (json.dumps), or convert the data with `awpo data`"
        )
    question, tools = _text(extra_info.get("question")), _text(extra_info.get("tools"))
    return Rollout(question, tools, solution_str or "", ground_truth, str(data_source), extra_info)


def bad_row(rollout: Rollout, error: ValueError) -> ValueError:
    """The verifier's error with the row that it is about."""
    return ValueError(f"bad tools or ground truth ({_where(rollout.data_source, rollout.extra_info)}): {error}")


def _where(data_source: Any, extra_info: Mapping[str, Any]) -> str:
    return f"data_source={str(data_source)!r}, extra_info index={extra_info.get('index')!r}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
