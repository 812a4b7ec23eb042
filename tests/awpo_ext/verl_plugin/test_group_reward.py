"""The group's identity on its way through verl's own classes: trainer, prompts, reward worker, reward function."""

import asyncio

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from omegaconf import OmegaConf
from tensordict import NonTensorData, NonTensorStack, TensorDict
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager
from verl.utils import tensordict_utils as tu

from awpo_ext.verl_plugin.config_check import compose, problems
from awpo_ext.verl_plugin.driver.group_sizes import write_group_sizes
from awpo_ext.verl_plugin.rollout.group_reward import SIZE_FIELD, GroupRewardManager
from reward_models.judges.llm_group import Place, read_place

MANAGER = [
    "reward.reward_manager.source=importlib",
    "reward.reward_manager.name=GroupRewardManager",
    "reward.reward_manager.module.path=pkg://awpo_ext.verl_plugin.group_reward",
]
KWARGS = "+reward.custom_reward_function.reward_kwargs."
GOOD = [
    "algorithm.adv_estimator=awpo",
    "actor_rollout_ref.actor.policy_loss.loss_mode=awpo",
    "actor_rollout_ref.rollout.name=vllm",
    "actor_rollout_ref.rollout.n=4",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8",
    "reward.custom_reward_function.path=pkg://reward_models.reward",
    f"{KWARGS}judge=llm_group",
    f"{KWARGS}judge_kwargs.base_url=http://127.0.0.1:9/v1",
    f"{KWARGS}judge_kwargs.model=grader",
    f"{KWARGS}judge_kwargs.preflight=false",
    *MANAGER,
]


class Tokenizer:
    def decode(self, ids, skip_special_tokens=True):
        return "".join(chr(int(i)) for i in ids)


def score(tmp_path, data, *overrides):
    """What our manager, as verl loads it, makes of one rollout; the reward function returns what it was told."""
    path = tmp_path / "echo_reward.py"
    path.write_text(
        "async def compute_score(data_source, solution_str, ground_truth, extra_info=None):\n"
        "    return {'score': 1.0, 'solution': solution_str, 'extra_info': extra_info}\n"
    )
    config = compose([*MANAGER, f"reward.custom_reward_function.path={path}", *overrides])

    async def main():  # in the loop that the manager is made in, as in a reward worker
        manager = load_reward_manager(config, Tokenizer())
        assert isinstance(manager, GroupRewardManager)
        return await manager.run_single(data)

    return asyncio.run(main())


def sample(text="hello", extra_info=None, rows=1, **fields):
    """What verl's agent loop sends to a reward worker for one rollout."""
    responses = torch.tensor([[ord(char) for char in text]] * rows)
    attention = torch.ones(rows, 2 + len(text), dtype=torch.int64)
    row = {
        "data_source": "test",
        "reward_model": {"ground_truth": "truth"},
        "extra_info": {"index": 7, "question": "q"} if extra_info is None else extra_info,
        "tool_extra_fields": {"turn_scores": []},
        **fields,
    }
    columns = {key: np.array([value] * rows) for key, value in row.items()}
    return DataProto(
        batch=TensorDict({"responses": responses, "attention_mask": attention}, batch_size=rows),
        non_tensor_batch=columns,
    )


def told(found):
    return read_place(found["reward_extra_info"]["extra_info"])


def test_verls_worker_passes_uid_session_and_size_on(tmp_path):
    found = score(tmp_path, sample(uid="u-1", session_id=3, **{SIZE_FIELD: 5}))
    assert found["reward_score"] == 1.0 and found["reward_extra_info"]["solution"] == "hello"
    assert told(found) == Place("u-1", "3", 5)
    extra = found["reward_extra_info"]["extra_info"]
    assert (extra["index"], extra["question"], extra["turn_scores"]) == (7, "q", [])


def test_of_several_outputs_the_last_counts_and_a_rows_own_place_does_not(tmp_path):
    forged = Place("other", "0", 2).write({"index": 1})
    data = sample(extra_info=forged, rows=3, uid="u", session_id=0, **{SIZE_FIELD: 4})
    assert told(score(tmp_path, data)) == Place("u", "0", 4)
    assert read_place(forged) == Place("other", "0", 2)


@pytest.mark.parametrize(("n", "val_n", "size"), [(4, 4, 4), (4, 1, None)])
def test_without_the_trainers_word_the_size_is_known_only_where_there_is_one(tmp_path, n, val_n, size):
    sizes = [f"actor_rollout_ref.rollout.n={n}", f"actor_rollout_ref.rollout.val_kwargs.n={val_n}"]
    assert told(score(tmp_path, sample(uid="u", session_id=0), *sizes)) == Place("u", "0", size)


def test_a_rollout_without_uid_is_passed_on_as_it_is(tmp_path):
    assert told(score(tmp_path, sample())) is None


class Prompts:
    """An agent loop manager that keeps what it is asked to generate, as verl's workers take it apart."""

    def __init__(self):
        self.rows = []

    def generate_sequences(self, prompts):
        for chunk in prompts.chunk(2):
            for i in range(len(chunk)):
                row = {}
                for key, value in chunk.items():  # as in AgentLoopWorkerTQ.generate_sequences
                    if isinstance(value, torch.Tensor):
                        row[key] = value[i]
                    elif isinstance(value, NonTensorStack):
                        row[key] = value[i].data
                    elif isinstance(value, NonTensorData):
                        row[key] = value.data
                self.rows.append(row)


ROLLOUT = OmegaConf.create({"n": 8, "val_kwargs": {"n": 1}})


@pytest.mark.parametrize(("validates", "size"), [(False, 8), (True, 1)])
def test_the_trainer_writes_the_size_beside_each_prompt(validates, size):
    prompts = Prompts()
    write_group_sizes(prompts, ROLLOUT)
    batch = tu.get_tensordict({"uid": np.array(["a", "b", "c"], dtype=object), "index": torch.arange(3)})
    if validates:
        tu.assign_non_tensor_data(batch, "validate", True)
    prompts.generate_sequences(batch)
    assert [row["uid"] for row in prompts.rows] == ["a", "b", "c"]
    assert [row[SIZE_FIELD] for row in prompts.rows] == [size] * 3


@pytest.mark.parametrize("column", [[2, 3, 2], torch.tensor([2, 3, 2]), np.array([2, 3, 2], dtype=object)])
def test_a_rows_own_size_wins(column):
    prompts = Prompts()
    write_group_sizes(prompts, ROLLOUT)
    prompts.generate_sequences(
        tu.get_tensordict({"uid": np.array(["a", "b", "c"], dtype=object), "__rollout_n__": column})
    )
    assert [row[SIZE_FIELD] for row in prompts.rows] == [2, 3, 2]


def test_a_good_configuration_passes():
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("reward.reward_manager.source=register", "set reward.reward_manager.source=importlib"),
        ("reward.reward_manager.name=NoSuchManager", "name=GroupRewardManager"),
        ("reward.reward_manager.module.path=pkg://verl.nothing", "path=pkg://awpo_ext.verl_plugin.group_reward"),
        ("actor_rollout_ref.rollout.n=1", "actor_rollout_ref.rollout.n=4 or more"),
        ("reward.custom_reward_function.reward_kwargs.judge_kwargs.mode=all", "known: listwise, pairwise"),
    ],
)
def test_a_run_in_which_rollouts_would_not_meet_is_refused(override, message):
    overrides = GOOD
    if override.startswith("reward.reward_manager.source"):
        overrides = [one for one in GOOD if one not in MANAGER]
        override = "reward.reward_manager.name=naive"
    elif override.startswith("reward.custom"):
        override = f"+{override}"
    found = problems([*overrides, override])
    assert any(message in problem for problem in found), found


def test_a_served_reward_model_needs_a_pool_of_its_own():
    from awpo_ext.verl_plugin.compat import AwpoSetupError
    from awpo_ext.verl_plugin.driver.group_check import check_group_judge

    config = compose([*GOOD, "reward.reward_model.enable=True"])
    with pytest.raises(AwpoSetupError, match="enable_resource_pool=True"):
        check_group_judge(config)


def test_more_waiting_than_a_worker_has_places_for_is_said(caplog):
    big = ["data.train_batch_size=1024", "actor_rollout_ref.actor.ppo_mini_batch_size=256", "reward.num_workers=2"]
    assert problems([*GOOD, *big]) == []
    assert "up to 2048 rollouts" in caplog.text and "Set reward.num_workers=6" in caplog.text
