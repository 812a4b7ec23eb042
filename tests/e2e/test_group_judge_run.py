"""Stock verl with judge=llm_group: siblings that are scored in different processes are all ranked, in one ranking."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.e2e.stock_verl import main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from reward_models import UnscoredReason
from reward_models.judges.llm.fencing import clean
from tests.reward_models.judges.llm_group import ranking_server
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

KWARGS = "+reward.custom_reward_function.reward_kwargs"


def mark(thought):
    """What the server of this test goes by: a number that follows from the text."""
    return sum(thought.encode()) * 7919 % 10_007


def answer(asked):
    return ranking_server.verdict(asked, lambda number, thought: mark(thought))


def test_every_rollout_of_every_group_is_ranked(tiny_model, tmp_path):
    record = tmp_path / "record.jsonl"
    with FaultyServer(answer, latency_s=0.05) as server:
        run = main_ppo(
            tmp_path,
            tiny_model,
            "trainer.total_training_steps=2",
            "trainer.test_freq=2",
            "reward.num_workers=3",
            "reward.reward_manager.source=importlib",
            "reward.reward_manager.name=GroupRewardManager",
            "reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward",
            f"reward.custom_reward_function.path={Path(__file__).parent}/grouped_reward.py",
            f"{KWARGS}.record={record}",
            f"{KWARGS}.judge=llm_group",
            f"{KWARGS}.judge_kwargs.base_url={server.base_url}",
            f"{KWARGS}.judge_kwargs.model={MODEL}",
            f"{KWARGS}.judge_kwargs.wait_s=120",
        )
        assert run.returncode == 0, run.console[-6000:]
        asked = [sorted(thought for _, thought in ranking_server.shown(one)) for one in server.requests]

    groups, alone = defaultdict(list), []
    for line in record.read_text().splitlines():
        row = json.loads(line)
        (alone if row["place"]["size"] == 1 else groups[row["place"]["uid"]]).append(row)
    assert len(groups) == 16 and Counter(len(rows) for rows in groups.values()) == {4: 16}
    for rows in groups.values():
        assert sorted(row["place"]["session"] for row in rows) == ["0", "1", "2", "3"]
        assert all(row["place"]["size"] == 4 and row["reasoning_valid"] == 1.0 for row in rows)
        marks = [mark(clean(row["thought"], 8000)) for row in rows]
        others = [[other for j, other in enumerate(marks) if j != i] for i in range(4)]
        right = [sum((m > o) + (m == o) / 2 for o in rest) / 3 for m, rest in zip(marks, others, strict=True)]
        assert [row["reasoning"] for row in rows] == pytest.approx(right)
        assert all(row["reasoning_spread"] == 0.0 for row in rows)
    assert max(len({row["pid"] for row in rows}) for rows in groups.values()) > 1  # siblings met across processes
    assert len(alone) == 8  # validation: one rollout a prompt, nothing to rank, nobody waits
    assert {row["reasoning_failure"] for row in alone} == {UnscoredReason.NO_EVIDENCE.code}
    trained = asked[2:]  # the first two are the preflight's
    assert len(trained) == 32 and set(Counter(map(tuple, trained)).values()) == {2}  # each group once, in both orders
    for logged in run.steps.values():
        assert logged["awpo/reasoning/valid_fraction"] == 1.0
    assert not re.search(r"Unscored\((?!no_evidence)", run.console)
