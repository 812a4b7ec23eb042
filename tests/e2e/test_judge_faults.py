"""A training run whose judge fails three times in ten: no group is lost, and the outcome's part is what it would have been."""

import asyncio
import hashlib
import json
import re
from collections import Counter

import psutil
import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig
from reward_models import reward
from reward_models.llm_client.step_stats import steps_file
from reward_models.types import UnscoredReason
from tests.e2e import judged_reward
from tests.e2e.processes import Watch
from tests.e2e.stock_verl import dumped_rollouts, judge_overrides, main_ppo, start, wait
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer, mixed

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS, PROMPTS, ROLLOUTS, CONCURRENCY = 4, 8, 4, 8
FAULTS = {**mixed(0.275), "huge": 0.025}  # three in ten, by twelve kinds alike
EACH_ONCE = [kind for fault in FAULTS for kind in (fault, "ok", "ok")]  # to begin with, so that none is missing


def own_score(asked):
    """A verdict that follows from the prompt."""
    digest = hashlib.sha256(asked["messages"][0]["content"].encode()).digest()
    return json.dumps({"reasons": "because", "score": digest[0] % 11})


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with FaultyServer(text=own_score, faults=FAULTS, script=EACH_ONCE) as server:
        server.stall_s = 5.0
        process = start(
            folder,
            tiny_model,
            f"trainer.total_training_steps={STEPS}",
            "reward.num_workers=2",
            *judge_overrides(
                server.base_url,
                MODEL,
                columns=folder / "columns.jsonl",
                timeout_s=1.0,
                retries=1,
                max_concurrency=CONCURRENCY,
                ledger=folder / "ledger.jsonl",
                preflight="false",
            ),
        )
        with Watch(process.pid, "RewardLoopWorker", server.port) as watch:
            run = wait(process, folder)
        assert run.returncode == 0, run.console[-6000:]
        assert server.wait_for_sockets(0) and server.in_flight == 0
        return folder, run, server, watch


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_no_step_and_no_group_is_lost(trained):
    folder, run, _, _ = trained
    assert tuple(run.steps) == tuple(range(1, STEPS + 1))
    for step in run.steps:
        groups = Counter(row["uid"].rsplit("_", 2)[0] for row in dumped_rollouts(folder, step))
        assert len(groups) == PROMPTS and set(groups.values()) == {ROLLOUTS}
        assert run.steps[step]["awpo/outcome/valid_fraction"] == 1.0


def test_every_kind_of_fault_came_and_none_became_a_score(trained):
    folder, run, server, _ = trained
    assert set(server.kinds) == {"ok", *FAULTS}
    assert 0.2 < 1 - server.kinds["ok"] / server.kinds.total() < 0.4
    columns = lines(folder / "columns.jsonl")
    assert len(columns) == STEPS * PROMPTS * ROLLOUTS
    failed = [row for row in columns if not row["reasoning_valid"]]
    assert 0 < len(failed) < len(columns) / 2
    assert all(row["reasoning"] != row["reasoning"] and row["reasoning_failure"] > 0 for row in failed)
    for step, metrics in run.steps.items():
        shares = [metrics[f"awpo/judge/failed/{reason.value}"] for reason in UnscoredReason]
        assert sum(shares) == pytest.approx(1 - metrics["awpo/reasoning/valid_fraction"])
        assert metrics["awpo/judge/failed_share"] == pytest.approx(sum(shares)), step


def healthy_columns(rows):
    """The reward function's columns of the same rollouts with a judge that never fails."""

    async def main(url):
        kwargs = {"judge": "llm", "judge_kwargs": {"base_url": url, "model": MODEL}}
        try:
            return await asyncio.gather(
                *(
                    judged_reward.compute_score("sums", row["response"], row["ground_truth"], question(row), **kwargs)
                    for row in rows
                )
            )
        finally:
            for scorer in reward._scorers.of_running_loop():
                await scorer.judge.aclose()

    with FaultyServer(text=own_score) as server:
        return asyncio.run(main(server.base_url))


def question(row):
    return {"index": row["index"], "question": f"What is {row['index']} + 2?", "tools": "[]"}


def test_the_outcomes_part_is_bit_identical_to_a_judge_without_faults(trained):
    """On the very rollouts of the run: as it was judged, and judged again without a fault."""
    folder, run, _, _ = trained
    columns = lines(folder / "columns.jsonl")
    healthy = healthy_columns(columns)
    assert all(row["reasoning_valid"] for row in healthy)
    seen = {}
    for row, well in zip(columns, healthy, strict=True):
        assert row["score"] == well["score"]
        if row["reasoning_valid"]:
            assert row["reasoning"] == well["reasoning"]  # what was scored amid the faults is the score
        seen.setdefault((row["response"], row["ground_truth"]), []).append((row, well))
    differs = 0
    for step in run.steps:
        rows = dumped_rollouts(folder, step)
        pairs = [seen[row["output"], row["gts"]].pop(0) for row in rows]
        group = [row["uid"].rsplit("_", 2)[0] for row in rows]
        faulty, fault_free = (advantages(part, group) for part in zip(*pairs, strict=True))
        assert torch.equal(faulty.outcome_advantages, fault_free.outcome_advantages)
        differs += not torch.equal(faulty.advantages, fault_free.advantages)
        # It is what the run itself computed.
        assert run.steps[step]["awpo/outcome/signal_power"] == pytest.approx(
            float(faulty.outcome_advantages.square().mean()), rel=1e-12
        )
        assert run.steps[step]["awpo/blended/signal_power"] == pytest.approx(
            float(faulty.advantages.square().mean()), rel=1e-9
        )
    assert differs  # otherwise the faults touched nothing, and nothing was shown


def advantages(columns, group):
    low, high = judged_reward.compute_score.outcome_range()
    return awpo_advantages(
        [row["score"] for row in columns],
        [[row["reasoning"]] for row in columns],
        group,
        AwpoConfig(reward_min=low, reward_max=high),
        [[row["reasoning_valid"]] for row in columns],
    )


def test_metrics_ledger_and_server_agree(trained):
    folder, run, server, _ = trained
    calls, steps = lines(folder / "ledger.jsonl"), lines(steps_file(folder / "ledger.jsonl"))
    assert [step["step"] for step in steps][-STEPS:] == list(run.steps)
    # The server does not count what it sent in an answer without choices; the client does.
    told = {"prompt_tokens": 100 * server.kinds["empty"], "completion_tokens": 10 * server.kinds["empty"]}
    for name in ("prompt_tokens", "completion_tokens"):
        total = server.tokens[name] + told[name]
        assert total == sum(call[name] for call in calls) == sum(step[name] for step in steps)
        assert total == run.steps[STEPS][f"awpo/judge/run/{name}"]
        assert total == sum(metrics[f"awpo/judge/{name}"] for metrics in run.steps.values())
    assert len(calls) == STEPS * PROMPTS * ROLLOUTS == run.steps[STEPS]["awpo/judge/run/calls"]
    last = run.steps[STEPS]
    assert 0 < last["awpo/judge/latency_p50_s"] <= last["awpo/judge/latency_p95_s"] < 1.1
    assert last["awpo/judge/run/requests"] == server.kinds.total()
    assert last["awpo/judge/run/requests_failed/timeout"] >= server.kinds["timeout"]


def test_memory_and_sockets_stay_bounded_and_nothing_is_left(trained):
    _, _, server, watch = trained
    assert server.peak <= CONCURRENCY and max(watch.sockets) <= 2 * CONCURRENCY
    settled = watch.memory[len(watch.memory) // 2 :]
    assert max(settled) - min(settled) < 200 * 2**20
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if "ray::RewardLoopWorker" in " ".join(process.info["cmdline"] or [])
    ]


def test_a_hanging_judge_costs_a_step_its_deadline_and_may_end_the_run(tiny_model, tmp_path):
    with FaultyServer(latency_s=300) as server:
        run = main_ppo(
            tmp_path,
            tiny_model,
            "trainer.total_training_steps=9",
            "+algorithm.awpo.judge_stop_share=0.5",
            "+algorithm.awpo.judge_stop_steps=2",
            *judge_overrides(server.base_url, MODEL, step_deadline_s=3, max_concurrency=4, preflight="false"),
        )
    assert run.returncode != 0 and tuple(run.steps) == (1, 2)
    for metrics in run.steps.values():
        cut, never_sent = (metrics[f"awpo/judge/calls_unscored/{reason}"] for reason in ("timeout", "budget"))
        assert cut + never_sent == PROMPTS * ROLLOUTS
        assert 4 <= cut <= 8  # four at once; others may get a slot in the last millisecond
        assert metrics["awpo/judge/failed_share"] == 1.0 and metrics["awpo/outcome/valid_fraction"] == 1.0
    assert run.steps[2]["timing_s/gen"] < 60  # not 300, nor the 180 of deadline_s
    assert re.search(r"100% of 64 judgements in steps 1 to 2 \(budget \d\d%, timeout \d\d%\)", run.console)
    assert "algorithm.awpo.judge_stop_share=0.5" in run.console
