"""What the driver has of a batch -> the rows of a record. Pure; called in the writer's thread."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from awpo_ext.advantage import AwpoResult, Closed
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.run_info import Secrets
from awpo_ext.record.schema import SCORED
from reward_models.types import UnscoredReason
from reward_models.verifiers.reasons import REASON_CODES

UNTOLD = "untold"  # not valid, and no column says why
TURN_SIZES = "turn_sizes"  # in `extra`: how many of `texts` each user turn has
_TURNS = "turns"
_NOT_EXTRA = ("reward_extra_info", "raw_prompt", "min_global_steps", "max_global_steps", _TURNS)
_REASON_OF_CODE = {code: name for name, code in REASON_CODES.items()}
_FAILURE_OF_CODE = {reason.code: reason.value for reason in UnscoredReason}


@dataclass(frozen=True)
class Batch:
    """N rollouts, as verl and the reward function left them. Lists of N, in the estimator's order.

    key: of the row that stands for the rollout, `{uid}_{session}_{output}`; tag: what verl notes beside it.
    extra_fields: the agent loop's, with the reward function's columns in `reward_extra_info`.
    row: the data set's: raw_prompt, reward_model, extra_info, data_source, as far as there.
    response: token ids of the last output.
    """

    key: Sequence[str]
    outputs: Sequence[int]
    tag: Sequence[Mapping[str, Any]]
    extra_fields: Sequence[Mapping[str, Any]]
    row: Sequence[Mapping[str, Any]]
    response: Sequence[Any]
    outcome: Sequence[float]
    kl_penalty: Sequence[float]
    outcome_valid: Sequence[bool]
    outcome_range: Sequence[Sequence[float]]
    names: Sequence[str]  # of the K signals
    reasoning: Sequence[Sequence[float]]  # NaN where unscored
    failure: Sequence[Sequence[float]]  # codes of UnscoredReason, NaN where not told
    unread: Sequence[str | None]
    tokens: Sequence[float] | None = None


def rows_of(
    batch: Batch,
    result: AwpoResult | None,
    radius: torch.Tensor | None,
    options: RecordOptions,
    decode: Callable[[Any], str],
    secrets: Secrets,
    numbers: Sequence[int] | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ROLLOUTS and of GROUPS; `result` and `radius` `(N,)` are None in a validation.

    `numbers`: which of the result's rollouts the batch holds; None: all, in their order.
    """
    terms = _terms(result, radius) if result is not None and radius is not None else [{}] * len(batch.key)
    terms = terms if numbers is None else [terms[number] for number in numbers]
    texts = _Texts(options, secrets)
    rollouts = [
        {**_rollout(batch, i), **_words(batch, i, texts), **terms[i], **_texts_of(batch, i, texts, decode)}
        for i in range(len(batch.key))
    ]
    sizes = Counter(row["group"] for row in rollouts)
    first = {row["group"]: i for i, row in reversed(list(enumerate(rollouts)))}
    groups = [_group(batch, first[group], group, size, texts) for group, size in sizes.items()]
    return rollouts, groups


def _rollout(batch: Batch, i: int) -> dict[str, Any]:
    """Keys and numbers."""
    uid, session, _ = batch.key[i].rsplit("_", 2)
    tag, info = batch.tag[i], batch.extra_fields[i].get("reward_extra_info") or {}
    signals = [
        {"name": name, "score": None if math.isnan(score) else score, "failure": _failure(score, code)}
        for name, score, code in zip(batch.names, batch.reasoning[i], batch.failure[i], strict=True)
    ]
    spread = _number(info.get("reasoning_spread"))
    low, high = batch.outcome_range[i]
    return {
        "group": uid,
        "session": int(session),
        "key": batch.key[i],
        "outputs": batch.outputs[i],
        "min_version": tag.get("min_global_steps"),
        "max_version": tag.get("max_global_steps"),
        "outcome": None if math.isnan(batch.outcome[i]) else batch.outcome[i],
        "kl_penalty": batch.kl_penalty[i],
        "outcome_valid": bool(batch.outcome_valid[i]),
        "outcome_min": low,
        "outcome_max": high,
        "outcome_reason": _REASON_OF_CODE.get(info.get("outcome_reason")),
        "unread": batch.unread[i],
        "columns": numbers_of(info),
        "reasoning": signals[0]["score"],
        "failure": signals[0]["failure"],
        "signals": signals,
        "spread": spread or None,
        "tokens": None if batch.tokens is None else int(batch.tokens[i]),
        "response_length": tag.get("response_len"),
    }


def numbers_of(info: Mapping[str, Any]) -> str:
    """JSON of the finite numbers among a reward function's columns, by name."""
    numbers = {name: number for name, value in info.items() if (number := _number(value)) is not None}
    return encodable(to_json(numbers))


def terms_of(result: AwpoResult, radius: torch.Tensor) -> dict[str, torch.Tensor]:
    """The terms of the advantage per rollout, `(N,)` each, by their column's name; those of groups spread over rollouts."""
    index = result.group_index
    return {
        "advantage": result.advantages,
        "a_outcome": result.outcome_advantages,
        "a_judge": result.mixed_advantages,
        "outcome_part": result.outcome_part,
        "judge_part": result.judge_part,
        "gate": result.gate[index],
        "difficulty": result.difficulty[index],
        "success_rate": result.success_rate[index],
        "radius": radius,
    }


def _terms(result: AwpoResult, radius: torch.Tensor) -> list[dict[str, Any]]:
    index = result.group_index
    judge, total = result.judge_part.double(), (result.outcome_part + result.judge_part).double()
    power = torch.zeros(2, len(result.gate), dtype=torch.float64)
    power.index_add_(1, index, torch.stack([judge.square(), total.square()]))
    share = torch.where(power[1] > 0, (power[0] / power[1].clamp(min=1e-300)).sqrt(), torch.nan)
    columns = {**terms_of(result, radius), "leverage": share[index]}
    lists = {name: [None if math.isnan(x) else x for x in values.double().tolist()] for name, values in columns.items()}
    lists["closed"] = [Closed(code).name.lower() for code in result.closed[index].tolist()]
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


class _Texts:
    """Cuts texts, and knows whose are kept."""

    def __init__(self, options: RecordOptions, secrets: Secrets) -> None:
        self.options, self.secrets = options, secrets

    def cut(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with its texts cut, and `cut` where one was."""
        limit, was_cut = self.options.max_text, False
        for name, value in row.items():
            if isinstance(value, str) and len(value) > limit:
                row[name], was_cut = encodable(value[:limit]), True
            elif isinstance(value, str):
                row[name] = encodable(value)
            elif isinstance(value, list):
                was_cut = was_cut or any(len(text) > limit for text in value)
                row[name] = [encodable(text[:limit]) for text in value]
        return {**row, "cut": was_cut}


def _words(batch: Batch, i: int, texts: _Texts) -> dict[str, Any]:
    """What the reward function says in `details` (`reward_models.details`), if it does."""
    info = batch.extra_fields[i].get("reward_extra_info") or {}
    try:
        found = json.loads(info["details"])
        words = texts.secrets.hide(found["words"])[: texts.options.max_text]
        said = {
            "outcome_reason": found["reason"],
            "outcome_reasons": found["reasons"],
            "outcome_parts": to_json(found["parts"]),
            "votes": found["votes"] or None,
            "words": words,
            "step_scores": found.get("steps") or None,
            "rubric": found.get("rubric") or None,
            "judge_tokens": found["judge_tokens"],
            "calls": None if found["calls"] is None else to_json(found["calls"]),
        }
    except (KeyError, TypeError, ValueError):  # a reward function of the user's own
        return {}
    return {name: encodable(value) if isinstance(value, str) else value for name, value in said.items()}


def _texts_of(batch: Batch, i: int, texts: _Texts, decode: Callable[[Any], str]) -> dict[str, Any]:
    uid = batch.key[i].rsplit("_", 2)[0]
    if not texts.options.keeps_text(uid):
        return {"has_text": False, "cut": False, "calls": None, "words": None}
    fields = batch.extra_fields[i]
    turns = [[turn] if isinstance(turn, str) else list(turn) for turn in fields.get(_TURNS) or []]
    extra = {name: value for name, value in fields.items() if name not in _NOT_EXTRA and _is_plain(value)}
    if turns:
        extra[TURN_SIZES] = [len(turn) for turn in turns]
    row = {
        "response": decode(batch.response[i]),
        "texts": [str(text) for turn in turns for text in turn] if turns else None,
        "extra": to_json(extra),
    }
    return {"has_text": True, **texts.cut(row)}


def _group(batch: Batch, i: int, group: str, size: int, texts: _Texts) -> dict[str, Any]:
    row, info = batch.row[i], batch.row[i].get("extra_info") or {}
    numbers = {
        "group": group,
        "size": size,
        "data_source": encodable(str(row.get("data_source", ""))),
        "prompt_length": batch.tag[i].get("prompt_len"),
    }
    if not texts.options.keeps_text(group):
        return {**numbers, "has_text": False, "cut": False}
    truth = (row.get("reward_model") or {}).get("ground_truth")
    said = {
        "prompt": to_json(row.get("raw_prompt")),
        "question": _text(info.get("question")),
        "tools": _text(info.get("tools")),
        "ground_truth": _text(truth),
        "extra_info": to_json({key: value for key, value in info.items() if key not in ("question", "tools")}),
    }
    return {**numbers, "has_text": True, **texts.cut(said)}


def to_json(value: Any) -> str:
    """JSON of what a batch may hold; arrays become lists, and what JSON has no form for its type's name."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def encodable(text: str) -> str:
    """The text without lone surrogates, which no file takes; they are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, set | tuple) else f"({type(value).__name__})"


def _is_plain(value: Any) -> bool:
    return value is not None and isinstance(value, str | bool | int | float | list | tuple | Mapping)


def _text(value: Any) -> str:
    """As `reward_models.verl_row` reads a value."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and not isinstance(value, str) else None


def _failure(score: float, code: float) -> str:
    return _FAILURE_OF_CODE.get(code, UNTOLD) if math.isnan(score) else SCORED
