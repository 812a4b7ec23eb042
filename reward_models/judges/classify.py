"""The classify judge: a classifier trained here (`awpo scorer train-classifier`), served by vLLM's /classify.

    vllm serve my_scorer --runner pooling

The folder must be at hand here too: text, truncation and calibration are as in process, and the server sees token ids,
so both give the same scores. Limits, retries and failures are the LLM judge's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from reward_models.judges.base import Judge, JudgeNotReadyError
from reward_models.judges.controls import controls
from reward_models.llm_client import ChatClient, ClientConfig
from reward_models.llm_client.answer import Completion, NoCompletion, Usage
from reward_models.llm_client.transport import Route
from reward_models.options import refuse_unknown
from reward_models.rollout_view import read_rollout
from reward_models.scorers.calibration import Calibration
from reward_models.scorers.classifier.folder import check_folder
from reward_models.scorers.classifier.model import make_renderer, to_unit
from reward_models.scorers.classifier.text import Renderer
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

logger = logging.getLogger(__name__)

FROM_VERL = "verl"  # base_url: the server that verl runs for its reward model
_OWNER = "judge 'classify'"
_OWN = ("scorer", "preflight")


class ClassifyJudge(Judge):
    """Score = the served model's logit, calibrated to [0, 1].

    scorer: the classifier's folder. model: its name at the server; left out, the folder as it is written in `scorer`,
    which is what `vllm serve` and verl call it. base_url: of the server, with or without `/v1`, or `verl`. preflight:
    ask the server before the run. All others are `ClientConfig`'s.

    - No thought, or a blank one: 0.0 without a request. No question and nothing after the thought:
      Unscored(no_evidence), without a request.
    - The folder or aiohttp is missing: Unscored(load_failed). No answer: the client's Unscored. An answer that is not
      one finite number: Unscored(bad_verdict).
    """

    def __init__(self, **options: Any) -> None:
        client = _client_options(options)
        self._folder = Path(options["scorer"]).expanduser()
        self._preflight = options.get("preflight", True)
        self.client_config = ClientConfig(**{"model": str(options["scorer"]), **client})
        waiting = options.get("base_url") == FROM_VERL
        self._client = None if waiting else ChatClient(self.client_config, _ROUTE)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classify-judge")  # tokenizers block
        self._renderer: Renderer | None = None
        self._calibration: Calibration | None = None
        self._logged: set[UnscoredReason] = set()

    def check(self) -> None:
        for package in ("aiohttp", "transformers"):
            if find_spec(package) is None:
                raise JudgeNotReadyError(f"the classify judge needs the package {package}: pip install {package}")
        try:
            check_folder(self._folder)
        except ValueError as error:
            raise JudgeNotReadyError(str(error)) from None

    async def preflight(self) -> None:
        """Ask whether the server has the model and classifies; JudgeNotReadyError with the fix."""
        if not self._preflight or self._client is None:
            return
        await self._client.preflight()
        verdict = await self.score(controls()[0])
        if isinstance(verdict, Unscored):
            raise JudgeNotReadyError(
                f"the server did not classify a trial rollout ({verdict.reason.value}: {verdict.detail}); start it with "
                "`vllm serve <the scorer's folder> --runner pooling`"
            )

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        self._executor.shutdown(wait=False)

    async def score(self, rollout: Rollout) -> Verdict:
        try:
            verdict = await self._ask(rollout)
        except (ValueError, ImportError, JudgeNotReadyError) as error:
            verdict = Unscored(UnscoredReason.LOAD_FAILED, str(error))
        except Exception as error:
            verdict = Unscored(UnscoredReason.ERROR, type(error).__name__)
        if isinstance(verdict, Unscored) and verdict.reason not in self._logged:
            self._logged.add(verdict.reason)
            logger.warning(
                "The classify judge's first Unscored(%s): %s; later ones are only counted",
                verdict.reason.value,
                verdict.detail,
            )
        return verdict

    async def _ask(self, rollout: Rollout) -> Verdict:
        ids = await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, rollout)
        if ids is None:
            return Scored(0.0)
        if not read_rollout(rollout).has_evidence:
            return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor an action to compare with")
        if self._client is None:
            detail = f"base_url={FROM_VERL}, but verl serves no reward model: set reward.reward_model.enable=True"
            return Unscored(UnscoredReason.LOAD_FAILED, detail)
        # The folder's activation is the identity. False would leave out another one too: the tanh in BERT's pooler (vLLM 0.28).
        body = {"model": self.client_config.model, "input": ids, "use_activation": True}
        answer = await self._client.send(json.dumps(body).encode(), len(ids))
        if isinstance(answer, Unscored):
            return answer
        return Scored(float(to_unit(np.array([float(answer.text)]), self._calibration)[0]))

    def _encode(self, rollout: Rollout) -> list[int] | None:
        if self._renderer is None:
            metadata, template = check_folder(self._folder)
            self._calibration = metadata.calibration
            self._renderer = make_renderer(self._folder, metadata.max_tokens, template)
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
        return NoCompletion("the answer has not one number: is the model a scorer?", passing=False), Usage()
    try:
        value = float(values[0])
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        return NoCompletion("the answer's number is not finite", passing=False), Usage()
    known = type(tokens) is int and 0 <= tokens < 10**8
    return Completion(repr(value), "stop"), Usage(tokens, 0, known=True) if known else Usage()


_ROUTE = Route(classify_url, read_classification)


def _client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The client's options. An unknown one is refused without its value, which could be a key."""
    names = [field.name for field in fields(ClientConfig)]
    shown = {key: value if key in (*_OWN, *names) else "(not shown)" for key, value in options.items()}
    refuse_unknown(shown, [*_OWN, *names], _OWNER)
    scorer = options.get("scorer")
    if not (isinstance(scorer, str) and scorer.strip()):
        raise ValueError(f"{_OWNER}: scorer={scorer!r} must be the folder of `awpo scorer train-classifier`")
    if not isinstance(options.get("preflight", True), bool):
        raise ValueError(f"{_OWNER}: preflight={options['preflight']!r} must be true or false")
    client = {key: value for key, value in options.items() if key not in _OWN}
    if client.get("base_url") == FROM_VERL:  # not known yet; the other options are checked all the same
        client["base_url"] = "http://localhost/v1"
    return client
