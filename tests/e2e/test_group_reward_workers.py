"""verl's own agent loop, TransferQueue and reward workers with judge=llm_group, without a model: siblings that are sent to
workers at random are ranked together, and sessions that fail hold nobody for ever.

test_group_judge_run.py shows the same inside of training.
"""

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("transfer_queue", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

import ray
import transfer_queue as tq
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ
from verl.utils import tensordict_utils as tu

from awpo_ext.verl_plugin.config_check import compose
from awpo_ext.verl_plugin.driver.group_sizes import write_group_sizes
from awpo_ext.verl_plugin.rollout.group_reward import SIZE_FIELD
from reward_models import UnscoredReason
from tests.e2e.canned_agent import FAILING, worth
from tests.reward_models.judges.llm_group import ranking_server
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HERE = Path(__file__).resolve().parent
KWARGS = "+reward.custom_reward_function.reward_kwargs"
TRUTH = '<think> </think>\n<tool_call>\n{"name": "add", "parameters": {"a": 1, "b": 2}}\n</tool_call>'
PROMPTS, SESSIONS = 12, 4


@pytest.fixture
def tiny_folder(tmp_path):
    """Configuration and tokenizer of a model that never runs."""
    vocabulary = {word: i for i, word in enumerate(["<eos>", "worth", "in", *map(str, range(100))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<eos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    fast.save_pretrained(tmp_path / "tiny")
    sizes = dict.fromkeys(("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"), 1)
    LlamaConfig(**sizes, vocab_size=128, architectures=["LlamaForCausalLM"]).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def job(tmp_path, tiny_folder, monkeypatch):
    """(verl's agent loop manager as the trainer has it, the judge's server)."""
    (tmp_path / "agents.yaml").write_text("- name: canned\n  _target_: tests.e2e.canned_agent.CannedAgentLoop\n")
    with FaultyServer(ranking_server.honest, latency_s=0.02) as server:
        config = compose(
            [
                f"actor_rollout_ref.model.path={tiny_folder}",
                "actor_rollout_ref.rollout.name=vllm",
                f"actor_rollout_ref.rollout.n={SESSIONS}",
                "actor_rollout_ref.rollout.agent.num_workers=1",
                "actor_rollout_ref.rollout.agent.default_agent_loop=canned",
                f"actor_rollout_ref.rollout.agent.agent_loop_config_path={tmp_path}/agents.yaml",
                "reward.reward_manager.source=importlib",
                "reward.reward_manager.name=GroupRewardManager",
                "reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward",
                f"reward.custom_reward_function.path={HERE}/grouped_reward.py",
                f"{KWARGS}.record={tmp_path}/record.jsonl",
                f"{KWARGS}.judge=llm_group",
                f"{KWARGS}.judge_kwargs.base_url={server.base_url}",
                f"{KWARGS}.judge_kwargs.model={MODEL}",
                f"{KWARGS}.judge_kwargs.wait_s=10",
                "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
            ]
        )
        ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False)
        try:
            config.transfer_queue.enable = True
            tq.init(config.transfer_queue)
            worker_class = ray.remote(RewardLoopWorker).options(num_cpus=0)
            workers = [worker_class.remote(config, None) for _ in range(2)]
            ray.get([worker.__ray_ready__.remote() for worker in workers], timeout=200)
            manager = AgentLoopManagerTQ.create(
                config=config, llm_client=None, teacher_client=None, reward_loop_worker_handles=workers
            )
            write_group_sizes(manager, config.actor_rollout_ref.rollout)
            yield manager, server
            tq.close()
        finally:
            ray.shutdown()


def prompts(indices, *, validates=False):
    """A batch as the trainer hands it to the agent loop."""
    count = len(indices)

    def column(values):
        array = np.empty(count, dtype=object)
        array[:] = values
        return array

    batch = tu.get_tensordict(
        {
            "uid": column([f"uid{'val' if validates else ''}{index}" for index in indices]),
            "raw_prompt": column([[{"role": "user", "content": "What is 1 + 2?"}]] * count),
            "index": torch.tensor(indices),
            "data_source": column(["sums"] * count),
            "reward_model": column([{"ground_truth": TRUTH}] * count),
            "extra_info": column([{"index": i, "question": "What is 1 + 2?", "tools": "[]"} for i in indices]),
        }
    )
    tu.assign_non_tensor_data(batch, "global_steps", 1)
    if validates:
        tu.assign_non_tensor_data(batch, "validate", True)
    return batch


def statuses(partition, keys, seconds=120):
    """The final status of each prompt, as verl's replay buffer sees it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        tags = tq.kv_list(partition_id=partition).get(partition, {})
        found = {key: tags.get(key, {}).get("status") for key in keys}
        if all(status in ("finished", "failure") for status in found.values()):
            return found
        time.sleep(0.1)
    raise AssertionError(f"not all prompts ended: {found}")


def test_siblings_that_meet_in_verls_own_workers_are_ranked_together(job, tmp_path):
    manager, server = job
    manager.generate_sequences(prompts(list(range(PROMPTS))))
    manager.generate_sequences(prompts([50, 51], validates=True))
    ended = statuses("train", [f"uid{index}" for index in range(PROMPTS)])
    assert ended == {f"uid{i}": "failure" if i < 2 else "finished" for i in range(PROMPTS)}
    assert statuses("val", ["uidval50", "uidval51"]) == {"uidval50": "finished", "uidval51": "finished"}

    sent = [(i, s) for i in range(PROMPTS) for s in range(SESSIONS) if (i, s) not in FAILING]
    found = tq.kv_batch_get(
        keys=[f"uid{prompt}_{session}_0" for prompt, session in sent],
        partition_id="train",
        select_fields=["extra_fields", SIZE_FIELD],
    )
    assert [int(size) for size in list(found[SIZE_FIELD])] == [SESSIONS] * len(sent)
    for (prompt, session), fields in zip(sent, list(found["extra_fields"]), strict=True):
        columns = dict(fields)["reward_extra_info"]
        others = [worth(prompt, other) for p, other in sent if p == prompt and other != session]
        if not others:  # its three siblings failed
            assert columns["reasoning_failure"] == UnscoredReason.NO_EVIDENCE.code
            continue
        mine = worth(prompt, session)
        right = sum((mine > other) + (mine == other) / 2 for other in others) / len(others)
        assert columns["reasoning_valid"] == 1.0 and columns["reasoning"] == pytest.approx(right), (prompt, session)
    rows = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert len(rows) == len(sent) + 2 and len({row["pid"] for row in rows}) == 2
    alone = [row["reasoning_failure"] for row in rows if row["place"]["size"] == 1]
    assert alone == [UnscoredReason.NO_EVIDENCE.code] * 2  # validation, with one rollout a prompt
    groups = Counter(tuple(sorted(text for _, text in ranking_server.shown(asked))) for asked in server.requests)
    assert len(groups) == PROMPTS - 1 and set(groups.values()) == {2}  # each group once, in both orders
