"""The classify judge: a classifier trained here (`awpo scorer train-classifier`), served by vLLM's /classify.

    vllm serve my_scorer --runner pooling

The folder is needed here too: text, truncation and calibration are as in process, and the server sees token ids,
so both give the same scores. Limits, retries and failures are the LLM judge's.
"""

from __future__ import annotations

import asyncio
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from reward_models.judges.base import JudgeNotReadyError
from reward_models.judges.controls import controls
from reward_models.judges.llm.chat_judge import NOT_SERVED, ChatJudge, split_options
from reward_models.llm_client.answer import Completion, NoCompletion, Usage
from reward_models.llm_client.transport import Route
from reward_models.options import Options, Text
from reward_models.rollout_view import read_rollout
from reward_models.scorers.calibration import Calibration
from reward_models.scorers.classifier.folder import check_folder
from reward_models.scorers.classifier.model import make_renderer, to_unit
from reward_models.scorers.classifier.text import Renderer
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

_OWNER = "judge 'classify'"


@dataclass(frozen=True)
class ClassifyConfig(Options, owner=_OWNER):
    """Options of the classify judge beside those of its client (`ClientConfig`: base_url, model, ..).

    scorer: the classifier's folder. preflight: ask the server before the run.
    """

    scorer: Annotated[str, Text("the folder of `awpo scorer train-classifier`")] = ""
    preflight: bool = True


class ClassifyJudge(ChatJudge):
    """Score = the served model's logit, calibrated to [0, 1].

    The client's `model` is its name at the server; left out, the folder as it is written in `scorer`, which is what
    `vllm serve` and verl call it. `base_url` is the server's, with or without `/v1`, or `verl`.

    - No thought, or a blank one: 0.0 without a request. No question and nothing after the thought:
      Unscored(no_evidence), without a request.
    - The folder or aiohttp is missing: Unscored(load_failed). No answer: the client's Unscored. An answer that is not
      one finite number: Unscored(bad_verdict).
    """

    name = "classify"

    def __init__(self, **options: Any) -> None:
        own, client = split_options(options, ClassifyConfig, _OWNER)
        self.config = ClassifyConfig(**own)
        super().__init__({"model": self.config.scorer, **client}, _ROUTE)
        self.asks_before_the_run = self.config.preflight
        self.folder: Path = Path(self.config.scorer).expanduser()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classify-judge")  # tokenizers block
        self._renderer: Renderer | None = None
        self._calibration: Calibration | None = None

    def check(self) -> None:
        super().check()
        if find_spec("transformers") is None:
            raise JudgeNotReadyError("the classify judge needs the package transformers: pip install transformers")
        try:
            check_folder(self.folder)
        except ValueError as error:
            raise JudgeNotReadyError(str(error)) from None

    async def _trial(self) -> Verdict:
        verdict = await self.score(controls()[0])
        if isinstance(verdict, Unscored):
            raise JudgeNotReadyError(
                f"the server did not classify a trial rollout ({verdict.reason.value}: {verdict.detail}); start it with "
                "`vllm serve <the scorer's folder> --runner pooling`"
            )
        return verdict

    async def aclose(self) -> None:
        await super().aclose()
        self._executor.shutdown(wait=False)

    async def score(self, rollout: Rollout) -> Verdict:
        try:
            verdict = await self._score(rollout)
        except (ValueError, ImportError, JudgeNotReadyError) as error:
            verdict = Unscored(UnscoredReason.LOAD_FAILED, str(error))
        except Exception as error:
            verdict = Unscored(UnscoredReason.ERROR, type(error).__name__)
        self._log_first(verdict)
        return verdict

    async def _score(self, rollout: Rollout) -> Verdict:
        ids = await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, rollout)
        if ids is None:
            return Scored(0.0)
        if not read_rollout(rollout).has_evidence:
            return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor an action to compare with")
        if self._client is None:
            return NOT_SERVED
        # The folder's activation is the identity. False would leave out another one too: the tanh in BERT's pooler (vLLM 0.28).
        body = {"model": self.client_config.model, "input": ids, "use_activation": True}
        answer = await self._client.send(json.dumps(body).encode(), len(ids))
        if isinstance(answer, Unscored):
            return answer
        return Scored(float(to_unit(np.array([float(answer.text)]), self._calibration)[0]))

    def _encode(self, rollout: Rollout) -> list[int] | None:
        if self._renderer is None:
            metadata, template = check_folder(self.folder)
            self._calibration = metadata.calibration
            self._renderer = make_renderer(self.folder, metadata.max_tokens, template)
        return self._renderer.encode(rollout)


def classify_url(base_url: str) -> str:
    """vLLM serves /classify beside /v1, not in it."""
    return base_url.removesuffix("/v1") + "/classify"


def read_classification(body: bytes) -> tuple[Completion | NoCompletion, Usage]:
    """The one logit of an answer, as a completion whose text is the number. Any bytes give a value."""
    try:
        data = json.loads(body)
        values = data["data"][-1]["probs"]
        tokens = data.get("usage", {}).get("prompt_tokens")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return NoCompletion("the answer is not a classification", passing=True), Usage()
    if not isinstance(values, list) or len(values) != 1:
        return NoCompletion(
            "the answer does not hold exactly one number: is the model a scorer?", passing=False
        ), Usage()
    try:
        value = float(values[0])
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        return NoCompletion("the answer's number is not finite", passing=False), Usage()
    known = type(tokens) is int and 0 <= tokens < 10**8
    return Completion(repr(value), "stop"), Usage(tokens, 0, known=True) if known else Usage()


_ROUTE = Route(classify_url, read_classification)
