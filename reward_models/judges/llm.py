"""The LLM judge: a language model behind an OpenAI-compatible API grades the thought by a rubric.

What the policy wrote reaches the model as fenced data and may still sway it, so a score is an opinion, not a proof.
Transport, limits, cache and costs are the client's; the prompt is rubric.py's, what counts as a verdict verdict.py's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any

from reward_models.judges.base import Judge, JudgeNotReadyError
from reward_models.judges.canaries import controls
from reward_models.judges.client import ChatAnswer, ChatClient, ChatRequest, ClientConfig
from reward_models.judges.expected_score import MAX_TOKENS, MAX_TOP, TOP_LOGPROBS, expected_grade
from reward_models.judges.rubric import Prompt, load_rubric
from reward_models.judges.verdict import Grade, read_verdict, response_format
from reward_models.judges.votes import AGGREGATES, combine, vote_seed
from reward_models.options import refuse_unknown, require_number
from reward_models.parsing import parse_response
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

logger = logging.getLogger(__name__)

FROM_VERL = "verl"  # base_url: the server that verl runs for its reward model
_OWNER = "judge 'llm'"
_VOTING_TEMPERATURE = 0.7
_TRIAL_S = 30.0


@dataclass(frozen=True)
class LlmConfig:
    """Options of the LLM judge beside those of its client (`ClientConfig`: base_url, model, api_key_env, ..).

    rubric: path of a prompt file of one's own, readable wherever verl's reward workers run; None: the built-in one.
    reference: show the data set's own answer to the model.
    scale: the top of the scale that the rubric is expected to have, checked against it; None: no such check.
    votes: how many times the model is asked, in [1, 64].
    aggregate: `mean`, `median` or `majority` of the votes.
    temperature: in [0, 2]; None: 0 for one vote, 0.7 for several, which at 0 would be the same vote.
    max_tokens: of one answer, in [16, 32768]; an answer cut there is no verdict.
    structured: ask the server for JSON by a schema; false where the server refuses `response_format`.
    expected: the score is the mean over the scale by the model's own probabilities, see expected_score.py, and not the number
        it gives; for servers with `logprobs`, structured output, and rubrics with a scale up to 10.
    preflight: ask the endpoint before the run, a trial judgement included.
    """

    rubric: str | None = None
    reference: bool = False
    scale: int | None = None
    votes: int = 1
    aggregate: str = "mean"
    temperature: float | None = None
    max_tokens: int = 512
    structured: bool = True
    expected: bool = False
    preflight: bool = True

    def __post_init__(self) -> None:
        if self.rubric is not None and not (isinstance(self.rubric, str) and self.rubric.strip()):
            raise ValueError(f"{_OWNER}: rubric={self.rubric!r} must be the path of a text file, or null")
        for key in ("reference", "structured", "expected", "preflight"):
            if not isinstance(getattr(self, key), bool):
                raise ValueError(f"{_OWNER}: {key}={getattr(self, key)!r} must be true or false")
        if self.scale is not None:
            require_number(_OWNER, "scale", self.scale, 1, 100, whole=True)
        require_number(_OWNER, "votes", self.votes, 1, 64, whole=True)
        if self.aggregate not in AGGREGATES:
            raise ValueError(f"{_OWNER}: aggregate={self.aggregate!r} is not known; known: {', '.join(AGGREGATES)}")
        if self.temperature is None:
            object.__setattr__(self, "temperature", _VOTING_TEMPERATURE if self.votes > 1 else 0.0)
        require_number(_OWNER, "temperature", self.temperature, 0, 2)
        if self.votes > 1 and self.temperature == 0:
            raise ValueError(
                f"{_OWNER}: votes={self.votes} at temperature=0 are the same vote; leave temperature out, or set votes=1"
            )
        require_number(_OWNER, "max_tokens", self.max_tokens, 16, 32768, whole=True)
        if self.expected and not self.structured:
            raise ValueError(f"{_OWNER}: expected=true needs structured=true, so that the answer ends with the score")
        if self.expected:
            require_number(f"{_OWNER}, expected=true", "max_tokens", self.max_tokens, 16, MAX_TOKENS, whole=True)


@dataclass(frozen=True)
class Vote:
    """One answer of the model and what was read in it; `answer` is None where none came."""

    result: Grade | Unscored
    answer: ChatAnswer | None = None


@dataclass(frozen=True)
class Judgement:
    """A verdict with its record: the rubric's name and hash, the prompt ("" where none was sent), the votes."""

    verdict: Verdict
    rubric: str
    prompt: str = ""
    votes: tuple[Vote, ...] = ()


class LlmJudge(Judge):
    """Score = the model's grade, mapped from the rubric's scale to [0, 1], aggregated over the votes.

    - No thought, or a blank one: 0.0 without a request.
    - No question and nothing after the thought, or no reference where one is to be shown: Unscored(no_evidence),
      without a request.
    - An answer that is cut, or has no verdict of its own on the scale: Unscored(bad_verdict).
    - No answer: the client's Unscored. aiohttp missing, or a key that cannot be one: Unscored(load_failed).

    `Scored.spread` is the standard deviation of several votes, None for one. Usable from several event loops; `aclose`
    closes the running loop's connections.
    """

    def __init__(self, **options: Any) -> None:
        own, client = _split_options(options)
        self.config = LlmConfig(**own)
        try:
            self.rubric = load_rubric(self.config.rubric, reference=self.config.reference, scale=self.config.scale)
        except ValueError as error:
            raise ValueError(f"{_OWNER}: {error}") from None
        if self.config.expected and self.rubric.scale.high > MAX_TOP:
            raise ValueError(
                f"{_OWNER}: expected=true needs a rubric with a scale up to {MAX_TOP}, and {self.rubric.name!r} goes up "
                f"to {self.rubric.scale.high}: set expected=false, or write a smaller scale"
            )
        # Where the address is verl's it is not known yet; the other options are checked all the same.
        waiting = client.get("base_url") == FROM_VERL
        self.client_config = ClientConfig(**{**client, "base_url": "http://localhost/v1"} if waiting else client)
        self._client = None if waiting else ChatClient(self.client_config)
        self._format = response_format(self.rubric.scale) if self.config.structured else None
        self._closed = False
        self._logged: set[UnscoredReason] = set()

    def check(self) -> None:
        if find_spec("aiohttp") is None:
            raise JudgeNotReadyError("the llm judge needs the package aiohttp: pip install aiohttp")

    async def preflight(self) -> None:
        """Ask whether the endpoint can judge; JudgeNotReadyError with the fix. Nothing where `preflight` is false.

        One rollout is judged on trial. Of its failures a refusal raises, and an answer without the probabilities that
        `expected` needs; the others may pass and are logged. With base_url=verl there is nothing to ask yet: verl starts
        that server after this.
        """
        if not self.config.preflight or self._client is None:
            return
        await self._client.preflight()
        try:
            judgement = await asyncio.wait_for(self.judge(controls()[0].rollout), _TRIAL_S)
        except asyncio.TimeoutError:
            logger.warning(
                "The LLM judge's trial judgement took more than %.0f s: a slow judge slows training", _TRIAL_S
            )
            return
        verdict = judgement.verdict
        if self.config.expected and any(vote.answer is not None and not vote.answer.tail for vote in judgement.votes):
            raise JudgeNotReadyError("the judge's server sends no token probabilities (logprobs): set expected=false")
        if isinstance(verdict, Unscored) and verdict.reason is UnscoredReason.REFUSED:
            hint = (
                "set structured=false if the server knows no response_format, and expected=false if it knows no logprobs"
                if self.config.structured
                else "see its log"
            )
            raise JudgeNotReadyError(f"the judge's server refused a trial judgement ({verdict.detail}); {hint}")

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        judgements = await asyncio.gather(*(self.judge(rollout) for rollout in rollouts))
        return [judgement.verdict for judgement in judgements]

    async def judge(self, rollout: Rollout) -> Judgement:
        """`score` for one rollout, with the record of how it came about."""
        prompt = self._prompt(rollout)
        if not isinstance(prompt, Prompt):
            return Judgement(prompt, self.rubric.version)
        votes = await asyncio.gather(*(self._vote(rollout, prompt, number) for number in range(self.config.votes)))
        verdict = combine([vote.result for vote in votes], self.config.aggregate)
        self._log_first(verdict)
        return Judgement(verdict, self.rubric.version, prompt.text, tuple(votes))

    async def aclose(self) -> None:
        """Close the running loop's connections; requests under way become Unscored."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()

    def _prompt(self, rollout: Rollout) -> Prompt | Verdict:
        """The prompt, or a verdict where none is needed."""
        thought = parse_response(rollout.response).thought
        if not thought:
            return Scored(0.0)
        action = _action(rollout.response)
        if not action and not rollout.question.strip():
            return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor an action to compare with")
        reference = _action(rollout.ground_truth) if self.config.reference else ""
        if self.config.reference and not reference:
            return Unscored(UnscoredReason.NO_EVIDENCE, "no ground truth to show as the reference")
        return self.rubric.render(rollout.question, rollout.tools, thought, action, reference)

    async def _vote(self, rollout: Rollout, prompt: Prompt, number: int) -> Vote:
        if self._closed:
            return Vote(Unscored(UnscoredReason.ERROR, "the judge is closed"))
        if self._client is None:
            detail = f"base_url={FROM_VERL}, but verl serves no reward model: set reward.reward_model.enable=True"
            return Vote(Unscored(UnscoredReason.LOAD_FAILED, detail))
        try:
            answer = await self._client.ask(self._request(rollout, prompt, number))
        except (JudgeNotReadyError, ImportError) as error:
            return Vote(Unscored(UnscoredReason.LOAD_FAILED, str(error)))
        except Exception as error:
            # The type alone: messages of HTTP errors may hold headers, and so the key.
            return Vote(Unscored(UnscoredReason.ERROR, type(error).__name__))
        if isinstance(answer, Unscored):
            return Vote(answer)
        if answer.finish_reason == "length":
            return Vote(Unscored(UnscoredReason.BAD_VERDICT, "the answer was cut at max_tokens"), answer)
        grade = read_verdict(answer.text, self.rubric.scale, prompt.echo_keys)
        if self.config.expected and isinstance(grade, Grade):
            grade = expected_grade(grade, answer.tail, self.rubric.scale)
        return Vote(grade, answer)

    def _request(self, rollout: Rollout, prompt: Prompt, number: int) -> ChatRequest:
        row = rollout.extra_info.get("uid", rollout.extra_info.get("index", rollout.question))
        return ChatRequest(
            messages=({"role": "user", "content": prompt.text},),
            max_tokens=self.config.max_tokens,
            temperature=self.config.temperature,
            # Greedy decoding has no use for a seed, and without one equal prompts of different rows share a call.
            seed=vote_seed(str(row), rollout.response, number) if self.config.temperature else None,
            response_format=self._format,
            top_logprobs=TOP_LOGPROBS if self.config.expected else 0,
            vote=number,
        )

    def _log_first(self, verdict: Verdict) -> None:
        if isinstance(verdict, Unscored) and verdict.reason not in self._logged:
            self._logged.add(verdict.reason)
            logger.warning(
                "The LLM judge's first Unscored(%s): %s; later ones are only counted",
                verdict.reason.value,
                verdict.detail,
            )


def _action(response: str) -> str:
    """What stands after the thought, or all of it where there is no thought."""
    before, end, after = response.partition("</think>")
    return (after if end else before).strip()


def _split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The judge's own options and the client's. An unknown one is refused without its value, which could be a key."""
    own = {field.name for field in fields(LlmConfig)}
    client = {field.name for field in fields(ClientConfig)}
    shown = {key: value if key in own | client else "(not shown)" for key, value in options.items()}
    refuse_unknown(shown, sorted(own | client), _OWNER)
    return (
        {key: value for key, value in options.items() if key in own},
        {key: value for key, value in options.items() if key in client},
    )
