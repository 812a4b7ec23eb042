"""Let a judge score one rollout, or the group judge rank several, and say as text what it went by: `awpo judge try`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from reward_models.judges import Judge, JudgeNotReadyError, make_judge
from reward_models.judges.llm.chat_judge import ChatJudge
from reward_models.judges.llm.fencing import clean
from reward_models.judges.llm.judge import Judgement, LlmJudge, Vote
from reward_models.judges.llm_group.judge import LlmGroupJudge
from reward_models.llm_client import ClientConfig
from reward_models.types import Rollout, Unscored, Verdict


def try_judge(name: str, options: Mapping[str, Any], path: Path) -> str:
    """The report on one rollout, or on the list of a prompt's rollouts where the judge ranks, as text.

    Raises ValueError where options or file do not fit, JudgeNotReadyError where the judge lacks something. A judge
    that fails is not an error: the report says Unscored and why.
    """
    judge = make_judge(name, **options)
    judge.check()
    if isinstance(judge, LlmGroupJudge):
        return asyncio.run(_group_report(judge, read_group(path)))
    return asyncio.run(_report(judge, read_rollout(path)))


def read_rollout(path: Path) -> Rollout:
    """A JSON object with the fields of `Rollout`; `response` is required, `tools` and `ground_truth` may be JSON values."""
    return _rollout(_read_json(path), path)


def read_group(path: Path) -> list[Rollout]:
    """A JSON list of at least two such objects."""
    values = _read_json(path)
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError(f"{path}: expected a JSON list of at least two rollouts of one prompt, to rank them")
    return [_rollout(value, path) for value in values]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path}: cannot be read as JSON: {reason}") from error


def _rollout(value: Any, path: Path) -> Rollout:
    known = [field.name for field in fields(Rollout)]
    if not isinstance(value, dict) or "response" not in value:
        raise ValueError(f"{path}: expected one JSON object with 'response' and, as far as known, {', '.join(known)}")
    for key in value:
        if key not in known:
            raise ValueError(f"{path}: unknown key {key!r}; known keys: {', '.join(known)}")
    extra_info = value.pop("extra_info", None) or {}
    if not isinstance(extra_info, dict):
        raise ValueError(f"{path}: extra_info must be an object")
    texts = dict.fromkeys((name for name in known if name != "extra_info"), "")
    texts |= {key: item if isinstance(item, str) else json.dumps(item) for key, item in value.items()}
    return Rollout(**texts, extra_info=extra_info)


async def _group_report(judge: LlmGroupJudge, rollouts: list[Rollout]) -> str:
    try:
        verdicts = await judge.rank(rollouts)
        lines = [f"rubric   {judge.rubric_version}"]
        lines += [_ranked_line(number, verdict) for number, verdict in enumerate(verdicts)]
        spent = judge.summary()
        if spent:
            tokens = f"{spent['prompt_tokens']:.0f} prompt and {spent['completion_tokens']:.0f} completion tokens"
            lines.append(f"cost     {spent['cost']:.6f}; {spent['calls']:.0f} calls, {tokens}")
        report = "\n".join(lines)
        return report + (await _diagnosis(judge) if isinstance(verdicts[0], Unscored) else "")
    finally:
        await judge.aclose()


def _ranked_line(number: int, verdict: Verdict) -> str:
    if isinstance(verdict, Unscored):
        return f"{number:<8} unscored ({verdict.reason.value}): {verdict.detail}"
    changed = "" if verdict.spread is None else f", {verdict.spread:.0%} of its comparisons changed with the order"
    return f"{number:<8} {verdict.value:.3f}{changed}"


async def _report(judge: Judge, rollout: Rollout) -> str:
    try:
        if not isinstance(judge, LlmJudge):
            return _verdict_line(await judge.score(rollout))
        judgement = await judge.judge(rollout)
        report = _judgement(judgement, judge.client_config)
        if isinstance(judgement.verdict, Unscored):
            report += await _diagnosis(judge)
        return report
    finally:
        await judge.aclose()


async def _diagnosis(judge: ChatJudge) -> str:
    try:
        await judge.preflight()
    except JudgeNotReadyError as error:
        return f"\n\nfix      {error}"
    return ""


def _judgement(judgement: Judgement, config: ClientConfig) -> str:
    lines = [_verdict_line(judgement.verdict), *_parts_lines(judgement.verdict), f"rubric   {judgement.rubric}"]
    lines += [_vote_line(number, vote) for number, vote in enumerate(judgement.votes)]
    lines.append(_cost_line(judgement.votes, config))
    if judgement.prompt:
        lines += ["", "prompt", "------", judgement.prompt]
    else:
        lines.append("prompt   none: this rollout needs no request")
    return "\n".join(lines)


def _verdict_line(verdict: Verdict) -> str:
    if isinstance(verdict, Unscored):
        return f"verdict  unscored ({verdict.reason.value}): {verdict.detail}"
    spread = "" if verdict.spread is None else f", spread of the votes {verdict.spread:.3f}"
    return f"verdict  {verdict.value:.3f}{spread}"


def _parts_lines(verdict: Verdict) -> list[str]:
    """What the score is made of, where it has parts."""
    if isinstance(verdict, Unscored):
        return []
    criteria = ", ".join(f"{name} {part:.2f}" for name, part in verdict.criteria.items())
    steps = ", ".join(f"{value:.2f}" for value in verdict.steps)
    return [line for line, found in ((f"criteria {criteria}", criteria), (f"steps    {steps}", steps)) if found]


def _vote_line(number: int, vote: Vote) -> str:
    if isinstance(vote.result, Unscored):
        said = f"unscored ({vote.result.reason.value}): {vote.result.detail}"
        if vote.answer is not None:
            said += f"; the model said: {vote.answer.text[:500]!r}"
    else:
        # What a model writes may hold terminal escapes.
        said = f"score {vote.result.score}: {clean(vote.result.reasons, 4000)}"
    return f"vote {number}   {said}"


def _cost_line(votes: tuple[Vote, ...], config: ClientConfig) -> str:
    answers = [vote.answer for vote in votes if vote.answer is not None]
    paid = [answer for answer in answers if not answer.cached]
    prompt = sum(answer.prompt_tokens for answer in paid)
    completion = sum(answer.completion_tokens for answer in paid)
    prices = config.price_per_million_tokens
    cost = (prompt * prices[0] + completion * prices[1]) / 1e6
    seconds = max((answer.latency_s for answer in paid), default=0.0)
    cached = len(answers) - len(paid)
    return (
        f"cost     {cost:.6f} at {prices[0]:g} and {prices[1]:g} per million tokens; {prompt} prompt and {completion} "
        f"completion tokens, {cached} of {len(answers)} answers from the cache, {seconds:.2f} s"
    )
