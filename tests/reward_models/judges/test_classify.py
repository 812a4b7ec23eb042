"""The classify judge against a server that speaks vLLM's /classify: same scores as in process, failures as values."""

import asyncio
import json
import shutil
import threading

import pytest
from aiohttp import web

from reward_models import Scored, Unscored
from reward_models.judges import JudgeNotReadyError, make_judge, score_all
from reward_models.judges.classify import classify_url, read_classification
from reward_models.labelled import write_labelled
from reward_models.llm_client.answer import Completion, NoCompletion
from reward_models.reward import compute_score
from reward_models.scorers.classifier.measures import calibrate
from reward_models.scorers.classifier.model import load
from reward_models.scorers.classifier.training import TrainConfig, train_classifier
from tests.reward_models.scorers.classifier.tiny_models import labelled_rows, rollout


@pytest.fixture(scope="module")
def folder(tiny_llama, tmp_path_factory):
    """Trained and calibrated."""
    place = tmp_path_factory.mktemp("served")
    write_labelled(place / "train.jsonl", labelled_rows(12))
    rows = [row for row in labelled_rows(30, seed=1) if int(row.source.split()[1]) >= 12]
    write_labelled(place / "held.jsonl", rows)
    config = TrainConfig(str(tiny_llama), "labels", max_tokens=160, epochs=1, learning_rate=1e-3, device="cpu")
    train_classifier(config, place / "train.jsonl", place / "scorer", quiet=True)
    calibrate(place / "scorer", place / "held.jsonl")
    return place / "scorer"


class ClassifyServer:
    """vLLM's answers, by the model in the folder; `fault` is a status or a body to send instead."""

    def __init__(self, folder):
        self.classifier = load(folder)
        self.fault, self.bodies = None, []

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self, started):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_post("/classify", self._classify)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _models(self, request):
        return web.json_response({"data": [{"id": "my-scorer"}]})

    async def _classify(self, request):
        body = await request.json()
        self.bodies.append(body)
        if isinstance(self.fault, int):
            return web.Response(status=self.fault)
        if self.fault is not None:
            return web.Response(text=self.fault)
        logit = float(self.classifier._forward([body["input"]])[0])
        data = [{"index": 0, "label": "LABEL_0", "probs": [logit], "num_classes": 1}]
        return web.json_response({"data": data, "usage": {"prompt_tokens": len(body["input"]), "total_tokens": 1}})


@pytest.fixture
def server(folder):
    with ClassifyServer(folder) as running:
        yield running


def judge_at(server, folder, **options):
    given = {"base_url": f"http://{server.address}/v1", "scorer": str(folder), "model": "my-scorer", **options}
    return make_judge("classify", **given)


def score(judge, rollouts):
    async def main():
        try:
            return await score_all(judge, rollouts)
        finally:
            await judge.aclose()

    return asyncio.run(asyncio.wait_for(main(), 60))


ROLLOUTS = [rollout("because " * length + "[PAD]") for length in (1, 8, 4, 12)]


def test_scores_are_those_of_the_process(server, folder):
    verdicts = score(judge_at(server, folder), [*ROLLOUTS, rollout(" ")])
    expected = load(folder).score(ROLLOUTS)
    assert [verdict.value for verdict in verdicts[:4]] == pytest.approx(expected, abs=1e-4)
    assert verdicts[4] == Scored(0.0) and len(server.bodies) == 4
    assert all(body["use_activation"] is True and body["model"] == "my-scorer" for body in server.bodies)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (400, "refused"),
        (500, "error"),
        (429, "rate_limited"),
        ("<html>", "bad_verdict"),
        ('{"data": [{"probs": [0.1, 0.9]}]}', "bad_verdict"),
        ('{"data": [{"probs": [NaN]}]}', "bad_verdict"),
    ],
)
def test_failures_are_values(server, folder, fault, reason):
    server.fault = fault
    (verdict,) = score(judge_at(server, folder, retries=0), ROLLOUTS[:1])
    assert isinstance(verdict, Unscored) and verdict.reason == reason


def test_missing_server_and_missing_folder_are_values_too(server, folder, tmp_path):
    judge = make_judge("classify", base_url="http://127.0.0.1:9", scorer=str(folder), retries=0)
    assert score(judge, ROLLOUTS[:1])[0].reason == "error"
    judge = judge_at(server, tmp_path / "none")
    assert score(judge, ROLLOUTS[:1])[0].reason == "load_failed"
    with pytest.raises(JudgeNotReadyError, match="not a scorer's folder"):
        judge.check()
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "tokenizer.json").write_text("{")
    assert score(judge_at(server, broken), ROLLOUTS[:1])[0].reason == "load_failed"


def test_preflight_asks_for_the_model_and_for_a_score(server, folder):
    def preflight(judge):
        async def main():
            try:
                await judge.preflight()
            finally:
                await judge.aclose()

        asyncio.run(asyncio.wait_for(main(), 30))

    judge_at(server, folder).check()
    preflight(judge_at(server, folder))
    assert len(server.bodies) == 1
    with pytest.raises(JudgeNotReadyError, match="does not offer model='other'"):
        preflight(judge_at(server, folder, model="other"))
    server.fault = 404
    with pytest.raises(JudgeNotReadyError, match="--runner pooling"):
        preflight(judge_at(server, folder, retries=0))
    preflight(judge_at(server, folder, preflight=False, model="other"))


def test_verls_server_is_found_by_its_address(server, folder):
    options = {"base_url": "verl", "scorer": str(folder), "model": "my-scorer"}
    columns = asyncio.run(
        compute_score(
            "test",
            ROLLOUTS[0].response,
            "<response>Fine.</response>",
            {"question": ROLLOUTS[0].question, "tools": ROLLOUTS[0].tools},
            judge="classify",
            judge_kwargs=options,
            reward_router_address=server.address,
        )
    )
    assert columns["reasoning_valid"] == 1
    assert columns["reasoning"] == pytest.approx(load(folder).score(ROLLOUTS[:1])[0], abs=1e-4)
    (verdict,) = score(make_judge("classify", **options), ROLLOUTS[:1])
    assert verdict.reason == "load_failed" and "reward_model.enable" in verdict.detail


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "scorer='' must be the folder"),
        ({"scorer": "x", "base_url": "nowhere"}, "base_url='nowhere' must be a http"),
        ({"scorer": "x", "base_url": "http://h", "preflight": 1}, "preflight=1 must be true or false"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_judge("classify", **options)


def test_an_unknown_option_is_refused_without_its_value():
    with pytest.raises(ValueError, match="unknown key 'api_key'") as caught:
        make_judge("classify", scorer="x", base_url="http://h", api_key="sk-secret")
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("base_url", ["http://h:1", "http://h:1/v1"])
def test_classify_stands_beside_v1(base_url):
    assert classify_url(base_url) == "http://h:1/classify"


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"3", b'{"data": []}', b'{"data": [3]}', b'{"data": [{"probs": 3}]}', b'{"data": [{"probs": []}]}',
     b'{"data": [{"probs": ["x"]}]}', b'{"data": [{"probs": [' + b"9" * 400 + b"]}]}", b"[" * 100_000],
)  # fmt: skip
def test_any_body_is_a_value(body):
    assert isinstance(read_classification(body)[0], NoCompletion)


def test_a_good_body_is_its_last_number():
    found, usage = read_classification(
        json.dumps({"data": [{"probs": [-1.5]}], "usage": {"prompt_tokens": 7}}).encode()
    )
    assert found == Completion("-1.5", "stop") and usage.prompt_tokens == 7
    assert not read_classification(b'{"data": [{"probs": [1]}], "usage": {"prompt_tokens": -1}}')[1].known
