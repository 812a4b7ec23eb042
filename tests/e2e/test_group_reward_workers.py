"""verl's own reward workers, as Ray actors, with judge=llm_group: siblings sent to workers at random are ranked together.

What test_group_judge_run.py shows in training, without a model: minutes less, and with sessions that fail.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "reward_models"))

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

import ranking_server
import ray
from faulty_server import MODEL, FaultyServer
from tensordict import TensorDict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker

from awpo_ext.verl_plugin.config_check import compose
from awpo_ext.verl_plugin.group_reward import SIZE_FIELD
from reward_models import UnscoredReason

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KWARGS = "+reward.custom_reward_function.reward_kwargs"
WORDS = {word: i for i, word in enumerate(["<eos>", "worth", "in", *map(str, range(100))])}
TRUTH = '<think> </think>\n<tool_call>\n{"name": "add", "parameters": {"a": 1, "b": 2}}\n</tool_call>'
PROMPTS, SESSIONS = 12, 4


@pytest.fixture
def workers(tmp_path):
    """(two of verl's reward workers, the server that they ask)."""
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="<eos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>").save_pretrained(
        tmp_path / "tokenizer"
    )
    with FaultyServer(ranking_server.honest, latency_s=0.02) as server:
        config = compose(
            [
                f"actor_rollout_ref.model.path={tmp_path}/tokenizer",
                "reward.reward_manager.source=importlib",
                "reward.reward_manager.name=GroupRewardManager",
                "reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward",
                f"reward.custom_reward_function.path={Path(__file__).parent}/grouped_reward.py",
                f"{KWARGS}.record={tmp_path}/record.jsonl",
                f"{KWARGS}.judge=llm_group",
                f"{KWARGS}.judge_kwargs.base_url={server.base_url}",
                f"{KWARGS}.judge_kwargs.model={MODEL}",
                f"{KWARGS}.judge_kwargs.wait_s=10",
            ]
        )
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            worker_class = ray.remote(RewardLoopWorker).options(num_cpus=0)
            handles = [worker_class.remote(config, None) for _ in range(2)]
            ray.get([handle.__ray_ready__.remote() for handle in handles], timeout=200)
            yield handles, server
        finally:
            ray.shutdown()


def sample(prompt, session, size):
    """As verl's agent loop sends one rollout; its worth follows from prompt and session."""
    worth = (7 * prompt + 5 * session) % 9
    ids = [WORDS[word] for word in f"worth {worth} in {prompt}".split()]
    row = {
        "data_source": "sums",
        "reward_model": {"ground_truth": TRUTH},
        "extra_info": {"index": prompt, "question": "What is 1 + 2?", "tools": "[]"},
        "tool_extra_fields": {},
        "uid": f"uid-{prompt}",
        "session_id": session,
        SIZE_FIELD: size,
    }
    batch = TensorDict(
        {"responses": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids) + 3, dtype=torch.int64)}, 1
    )
    return DataProto(batch=batch, non_tensor_batch={key: np.array([value]) for key, value in row.items()})


def test_siblings_sent_to_workers_at_random_are_ranked_together(workers, tmp_path):
    handles, server = workers
    choose = random.Random(0)
    sent = [(prompt, session) for session in range(SESSIONS) for prompt in range(PROMPTS)]
    sent = [place for place in sent if place not in {(0, 1), (1, 0), (1, 1), (1, 3)}]  # sessions that failed
    refs = [choose.choice(handles).compute_score.remote(sample(*place, SESSIONS)) for place in sent]
    refs.append(handles[0].compute_score.remote(sample(50, 0, 1)))  # validation
    *found, alone = [result["reward_extra_info"] for result in ray.get(refs, timeout=200)]

    assert alone["reasoning_failure"] == UnscoredReason.NO_EVIDENCE.code
    for (prompt, session), columns in zip(sent, found, strict=True):
        siblings = [other for p, other in sent if p == prompt and other != session]
        if not siblings:
            assert columns["reasoning_failure"] == UnscoredReason.NO_EVIDENCE.code
            continue
        worth, *others = [(7 * prompt + 5 * one) % 9 for one in (session, *siblings)]
        right = sum((worth > other) + (worth == other) / 2 for other in others) / len(others)
        assert columns["reasoning_valid"] == 1.0 and columns["reasoning"] == pytest.approx(right), (prompt, session)
    rows = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert len(rows) == len(sent) + 1 and len({row["pid"] for row in rows}) == 2
    groups = Counter(tuple(sorted(text for _, text in ranking_server.shown(asked))) for asked in server.requests)
    assert len(groups) == PROMPTS - 1 and set(groups.values()) == {2}  # each group once, in both orders
