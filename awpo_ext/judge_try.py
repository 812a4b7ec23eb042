"""`awpo judge try`: let a judge score one rollout, and show all that it went by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from reward_models.judges import Judge, JudgeNotReadyError, make_judge
from reward_models.judges.client import ClientConfig
from reward_models.judges.fencing import clean
from reward_models.judges.llm import Judgement, LlmJudge, Vote
from reward_models.types import Rollout, Unscored, Verdict


def try_command(
    file: Annotated[Path, typer.Option(help="One rollout as JSON: response, question, tools, ground_truth, ..")],
    judge: Annotated[str, typer.Option(help="none, embedding, llm, or package.module:Class.")] = "llm",
    judge_kwargs: Annotated[str, typer.Option(help="The judge's options, as a JSON object.")] = "{}",
) -> None:
    """Score one rollout, and show the verdict, its reasons, the prompt and the cost."""
    try:
        options = json.loads(judge_kwargs)
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as error:
        # The value is not shown: it may hold a key by mistake.
        raise typer.BadParameter(f"--judge-kwargs must be a JSON object ({error})") from None
    try:
        typer.echo(try_judge(judge, options, file))
    except (ValueError, JudgeNotReadyError) as error:
        raise typer.BadParameter(str(error)) from None


def try_judge(name: str, options: Mapping[str, Any], path: Path) -> str:
    """The report on one rollout, as text.

    Raises ValueError where options or file do not fit, JudgeNotReadyError where the judge lacks something. A judge
    that fails is no error: the report says Unscored and why.
    """
    rollout = read_rollout(path)
    judge = make_judge(name, **options)
    judge.check()
    return asyncio.run(_report(judge, rollout))


def read_rollout(path: Path) -> Rollout:
    """A JSON object with the fields of `Rollout`; `response` is required, `tools` and `ground_truth` may be JSON values."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from error
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


async def _report(judge: Judge, rollout: Rollout) -> str:
    try:
        if not isinstance(judge, LlmJudge):
            (verdict,) = await judge.score([rollout])
            return _verdict_line(verdict)
        judgement = await judge.judge(rollout)
        report = _judgement(judgement, judge.client_config)
        if isinstance(judgement.verdict, Unscored):
            report += await _diagnosis(judge)
        return report
    finally:
        await judge.aclose()


async def _diagnosis(judge: LlmJudge) -> str:
    try:
        await judge.preflight()
    except JudgeNotReadyError as error:
        return f"\n\nfix      {error}"
    return ""


def _judgement(judgement: Judgement, config: ClientConfig) -> str:
    lines = [_verdict_line(judgement.verdict), f"rubric   {judgement.rubric}"]
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
