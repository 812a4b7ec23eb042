"""The LLM judge: a language model behind an OpenAI-compatible API grades the thought by a rubric, or says Yes or No.

What the policy wrote reaches the model as fenced data and may still sway it, so a score is an opinion, not a proof.
Transport, limits, cache and costs are the client's; the prompt is rubric.py's, what counts as a verdict verdict.py's
and yes_no.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from reward_models.judges.base import JudgeNotReadyError
from reward_models.judges.controls import controls
from reward_models.judges.llm.chat_judge import ChatJudge, not_finished, split_options
from reward_models.judges.llm.expected_score import MAX_TOKENS, MAX_TOP, TOP_LOGPROBS, expected_grade
from reward_models.judges.llm.fencing import clean
from reward_models.judges.llm.rubric import SCORE, VERDICTS, YES_NO, Prompt, load_rubric
from reward_models.judges.llm.shown import nothing_to_compare, show_steps, show_task
from reward_models.judges.llm.verdict import Grade
from reward_models.judges.llm.votes import AGGREGATES, STEPS, combine, combine_steps, vote_seed
from reward_models.judges.llm.yes_no import read_yes_no
from reward_models.judges.llm_group.ranker import PairAsker
from reward_models.llm_client import ChatAnswer, ChatRequest
from reward_models.options import OneOf, Options, Range, Text, require
from reward_models.rollout_view import read_rollout
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

_OWNER = "judge 'llm'"
_VOTING_TEMPERATURE = 0.7
_SAID_CHARS = 200
_MAX_TOKENS = {SCORE: 512, YES_NO: 16}


@dataclass(frozen=True)
class LlmConfig(Options, owner=_OWNER):
    """Options of the LLM judge beside those of its client (`ClientConfig`: base_url, model, api_key_env, ..).

    rubric: path of your own file of criteria or prompt, readable wherever verl's reward workers run, or the name of a
        built-in one, such as five_v1; None: the built-in one for `verdict` and `reference`.
    verdict: what the rubric asks for. `score`: reasons, then a number, as JSON. `yes_no`: one word, and the score is the
        probability of Yes, see yes_no.py; for small models, on servers with `logprobs`. It is one vote without
        `structured`, `expected` and `scale`.
    reference: show the data set's own answer to the model.
    scale: the top of the scale that the rubric is expected to have, checked against it; None: no such check.
    votes: how many times the model is asked, in [1, 64].
    aggregate: `mean`, `median` or `majority` of the votes.
    temperature: in [0, 2]; None: 0 for one vote, 0.7 for several, which at 0 would be the same vote.
    max_tokens: of one answer, in [16, 32768]; an answer cut there is not a verdict. None: 512, or 16 for the one word.
    structured: ask the server for JSON by a schema; false where the server refuses `response_format`.
    expected: the score is the mean over the scale by the model's own probabilities, see expected_score.py, and not the number
        it gives; for servers with `logprobs`, structured output, and rubrics with a scale up to 10.
    steps: judge each step of a rollout of several for itself, shown with those before it, and take the `mean`, the `min` or
        the `last` of their scores; None: the rollout as a whole. A request for each step and vote.
    preflight: ask the endpoint before the run, trial judgements included.
    """

    rubric: Annotated[str | None, Text("the path of a file, a built-in rubric's name, or null")] = None
    verdict: Annotated[str, OneOf(VERDICTS)] = SCORE
    reference: bool = False
    scale: Annotated[int | None, Range(1, 100)] = None
    votes: Annotated[int, Range(1, 64)] = 1
    aggregate: Annotated[str, OneOf(tuple(AGGREGATES))] = "mean"
    temperature: Annotated[float | None, Range(0, 2)] = None
    max_tokens: Annotated[int | None, Range(16, 32768)] = None
    structured: bool = True
    expected: bool = False
    steps: Annotated[str | None, OneOf(tuple(STEPS))] = None
    preflight: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature is None:
            object.__setattr__(self, "temperature", _VOTING_TEMPERATURE if self.votes > 1 else 0.0)
        if self.votes > 1 and self.temperature == 0:
            raise ValueError(
                f"{_OWNER}: votes={self.votes} at temperature=0 are the same vote; leave temperature out, or set votes=1"
            )
        if self.verdict == YES_NO:
            self._check_one_word()
        if self.needs_odds:
            require(_OWNER, "max_tokens", self.max_tokens, Annotated[int | None, Range(16, MAX_TOKENS)])
        if self.expected and not self.structured:
            raise ValueError(f"{_OWNER}: expected=true needs structured=true, so that the answer ends with the score")

    def _check_one_word(self) -> None:
        """Refuse what has no meaning beside a probability."""
        for key, plain in (("scale", None), ("votes", 1), ("expected", False)):
            if getattr(self, key) != plain:
                raise ValueError(
                    f"{_OWNER}: {key}={getattr(self, key)!r} has no meaning with verdict=yes_no, which scores by the "
                    f"probability of one word: leave {key} out, or set verdict=score"
                )

    @property
    def needs_odds(self) -> bool:
        """Whether the server has to send the tokens' probabilities."""
        return self.expected or self.verdict == YES_NO


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


class LlmJudge(ChatJudge):
    """Score = the model's grade, mapped from the rubric's scale to [0, 1], aggregated over the votes; with
    verdict=yes_no the probability of Yes.

    - No thought, or a blank one: 0.0 without a request.
    - No question and nothing after the thought, or no reference where one is to be shown: Unscored(no_evidence),
      without a request.
    - An answer that did not end by itself, or has no verdict on the scale: Unscored(bad_verdict).
    - A verdict that the response itself holds: the lowest score. With `steps`, a step without a score: no score.
    - No answer: the client's Unscored. aiohttp missing, or a key that cannot be one: Unscored(load_failed).

    `Scored.spread` is the standard deviation of several votes, None for one. Usable from several event loops; `aclose`
    closes the running loop's connections.
    """

    name = "llm"

    def __init__(self, **options: Any) -> None:
        own, client = split_options(options, LlmConfig, _OWNER)
        self.config = LlmConfig(**own)
        try:
            self.rubric = load_rubric(
                self.config.rubric,
                reference=self.config.reference,
                scale=self.config.scale,
                verdict=self.config.verdict,
            )
        except ValueError as error:
            raise ValueError(f"{_OWNER}: {error}") from None
        self.criteria = tuple(criterion.name for criterion in self.rubric.criteria)
        if self.config.expected and self.criteria:
            raise ValueError(
                f"{_OWNER}: expected=true needs one number, and {self.rubric.name!r} has {len(self.criteria)} criteria: set "
                "expected=false, or take a rubric with one score"
            )
        if self.config.expected and self.rubric.scale.high > MAX_TOP:
            raise ValueError(
                f"{_OWNER}: expected=true needs a rubric with a scale up to {MAX_TOP}, and {self.rubric.name!r} goes up "
                f"to {self.rubric.scale.high}: set expected=false, or write a smaller scale"
            )
        super().__init__(client)
        if self._client is not None:
            self._client.note(rubric=self.rubric.version)
        one_word = self.config.verdict == YES_NO
        self.asks_before_the_run = self.config.preflight
        self._format = self.rubric.format if self.config.structured and not one_word else None
        if self._format is not None:
            self.fixes["response_format"] = "set structured=false if the server knows no response_format"
        if self.config.needs_odds:
            self.fixes["logprobs"] = self.fixes["top_logprobs"] = (
                f"set {self._without_odds} if the server knows no logprobs"
            )
        self._pairs = PairAsker(
            self.ask,
            self.config.reference,
            self.config.max_tokens or _MAX_TOKENS[SCORE],
            structured=self.config.structured,
        )

    async def score(self, rollout: Rollout) -> Verdict:
        return (await self.judge(rollout)).verdict

    async def judge(self, rollout: Rollout) -> Judgement:
        """`score` with the record of how it came about."""
        prompts = self._prompts(rollout)
        if not isinstance(prompts, list):
            return Judgement(prompts, self.rubric.version)
        steps = await asyncio.gather(*(self._judge(rollout, prompt) for prompt in prompts))
        verdict = steps[0].verdict if len(steps) == 1 else self._of_steps(steps)
        self._log_first(verdict)
        votes = tuple(vote for step in steps for vote in step.votes)
        return Judgement(verdict, self.rubric.version, "\n\n".join(step.prompt for step in steps if step.prompt), votes)

    async def _judge(self, rollout: Rollout, prompt: Prompt | Scored) -> Judgement:
        if isinstance(prompt, Scored):
            return Judgement(prompt, self.rubric.version)
        votes = await asyncio.gather(*(self._vote(rollout, prompt, number) for number in range(self.config.votes)))
        verdict = combine([vote.result for vote in votes], self.config.aggregate)
        if isinstance(verdict, Scored):
            verdict = replace(verdict, rubric=self.rubric.version)
        return Judgement(verdict, self.rubric.version, prompt.text, tuple(votes))

    def _of_steps(self, steps: Sequence[Judgement]) -> Verdict:
        verdict = combine_steps([step.verdict for step in steps], self.config.steps or "mean")
        return replace(verdict, rubric=self.rubric.version) if isinstance(verdict, Scored) else verdict

    async def compare(self, first: Rollout, second: Rollout) -> Verdict:
        """Whose reasoning is better, asked once with `first` shown first: 1.0 the first one's, 0.5 a tie, 0.0 the second's.

        A model may favour a position, so callers ask in both orders. The built-in prompt for pairs is used, whatever
        `rubric` is, at temperature 0. Both should answer the same request; the first one's is shown. Without a request:
        a thought beats none, and equal texts tie.
        """
        verdict = await self._pairs.compare(first, second)
        self._log_first(verdict)
        return verdict

    async def _trial(self) -> Verdict:
        for rollout in controls():
            judgement = await self.judge(rollout)
            verdict, answers = judgement.verdict, [vote.answer for vote in judgement.votes if vote.answer is not None]
            if self.config.needs_odds and any(answer.finished and not answer.tail for answer in answers):
                raise JudgeNotReadyError(
                    f"the judge's server sends no token probabilities (logprobs): set {self._without_odds}"
                )
            if isinstance(verdict, Scored) or verdict.reason is not UnscoredReason.BAD_VERDICT:
                return verdict
        assert isinstance(verdict, Unscored)
        said = f"; it said {clean(answers[0].text, _SAID_CHARS)!r}" if answers else ""
        return Unscored(verdict.reason, verdict.detail + said)

    @property
    def _without_odds(self) -> str:
        return "verdict=score" if self.config.verdict == YES_NO else "expected=false"

    def _prompts(self, rollout: Rollout) -> list[Prompt | Scored] | Verdict:
        """One prompt, or with `steps` one for each step, of which those without a thought need none; or the verdict."""
        view = read_rollout(rollout)
        lowest = Scored(0.0, criteria=dict.fromkeys(self.criteria, 0.0), rubric=self.rubric.version)
        if not view.thought:
            return lowest
        task = show_task(rollout.question, rollout.tools, rollout.ground_truth if self.config.reference else "")
        nothing = nothing_to_compare(view, task, self.config.reference)
        if nothing is not None:
            return nothing
        shown = show_steps(view)
        if self.config.steps is None or len(shown) == 1:
            return [self.rubric.render(task, shown)]
        return [
            self.rubric.render_last(task, shown[: i + 1]) if step.thought else lowest for i, step in enumerate(shown)
        ]

    async def _vote(self, rollout: Rollout, prompt: Prompt, number: int) -> Vote:
        answer = await self.ask(self._request(rollout, prompt, number))
        if isinstance(answer, Unscored):
            return Vote(answer)
        if (unfinished := not_finished(answer)) is not None:
            return Vote(unfinished, answer)
        if self.config.verdict == YES_NO:
            return Vote(read_yes_no(answer.text, answer.tail), answer)
        grade = self.rubric.read(answer.text, prompt.echoes)
        if self.config.expected and isinstance(grade, Grade) and not grade.echoed:
            grade = expected_grade(grade, answer.tail, self.rubric.scale)
        return Vote(grade, answer)

    def _request(self, rollout: Rollout, prompt: Prompt, number: int) -> ChatRequest:
        row = rollout.extra_info.get("uid", rollout.extra_info.get("index", rollout.question))
        return ChatRequest(
            messages=({"role": "user", "content": prompt.text},),
            max_tokens=self.config.max_tokens or _MAX_TOKENS[self.config.verdict],
            temperature=self.config.temperature or 0.0,
            # Greedy decoding has no use for a seed, and without one equal prompts of different rows share a call.
            seed=vote_seed(str(row), rollout.response, number) if self.config.temperature else None,
            response_format=self._format,
            top_logprobs=TOP_LOGPROBS if self.config.needs_odds else 0,
            vote=number,
        )
