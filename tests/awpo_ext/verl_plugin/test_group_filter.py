"""`filter_groups.metric=awpo`: a prompt is dropped exactly where it would train nothing."""

from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.config_check import problems
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver.group_filter import filtered_keys, install
from tests.awpo_ext.batches import KNOWN
from tests.awpo_ext.verl_plugin.test_run_checks import GOOD

# uid -> (outcome, score) of its rollouts; None: not scored
PROMPTS = {
    "cancel": [(1.0, 0.0), (0.0, 1.0)],  # the sums are equal, the advantages are not under `reasoning`
    "solved": [(4.0, 0.1), (4.0, 0.9)],
    "failed": [(-3.0, 0.1), (-3.0, 0.9)],
    "same": [(-3.0, 0.5), (-3.0, 0.5)],
    "unscored": [(0.0, None), (0.0, None)],
    "differ": [(0.0, None), (4.0, None)],
}
FILTER = ["algorithm.filter_groups.enable=True", "algorithm.filter_groups.metric=awpo"]


class Queue:
    """The TransferQueue's rows of `PROMPTS`; counts what was asked for."""

    def __init__(self):
        self.rows = {f"{uid}_{i}_0": row for uid, rows in PROMPTS.items() for i, row in enumerate(rows)}
        self.asked = Counter()

    def kv_batch_get(self, keys, partition_id, select_fields):
        self.asked.update(keys)
        infos = [
            {"reasoning": s if s is not None else float("nan"), "reasoning_valid": float(s is not None)}
            for s in (self.rows[key][1] for key in keys)
        ]
        return {
            "extra_fields": [{"reward_extra_info": info} for info in infos],
            "rm_scores": [torch.tensor([0.0, self.rows[key][0]]) for key in keys],
        }


@pytest.fixture
def queue(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(plane, "tq", queue)
    return queue


def buffer_of(queue):
    return SimpleNamespace(
        finished_keys={"train": set(PROMPTS)},
        partitions={"train": list(queue.rows)},
        _dapo_classification_cache=defaultdict(dict),
    )


@pytest.mark.parametrize(
    ("settings", "state", "dropped"),
    [
        ({"integration": "reasoning"}, KNOWN, {"solved", "same", "unscored"}),
        ({"integration": "reasoning", "saturated": "reasoning"}, KNOWN, {"same", "unscored"}),
        ({"gate": "none"}, KNOWN, {"solved", "failed", "same", "unscored"}),
        ({"gate": "reliability", "integration": "reasoning"}, KNOWN, {"solved", "same", "unscored"}),
        (
            {"gate": "reliability", "integration": "reasoning"},
            ReliabilityState(),
            {"solved", "failed", "same", "unscored"},
        ),
        ({"preset": "naive_sum"}, KNOWN, {"cancel", "same", "unscored"}),  # there the sum is what is trained on
        ({"preset": "gdpo"}, KNOWN, {"cancel", "same", "unscored"}),  # equal and opposite scores cancel
    ],
)
def test_what_would_train_nothing_is_dropped(queue, settings, state, dropped):
    config = AwpoConfig.from_mapping(settings)
    found, counts = filtered_keys(buffer_of(queue), lambda: config, lambda: state, "train")
    assert found == dropped
    assert counts == Counter(sum(outcome for outcome, _ in PROMPTS[uid]) / 2 for uid in dropped)


def test_a_prompt_of_which_no_rollout_is_left_is_dropped(queue):
    buffer = buffer_of(queue)
    buffer.partitions["train"] = [key for key in queue.rows if not key.startswith("differ")]
    assert "differ" in filtered_keys(buffer, AwpoConfig, ReliabilityState, "train")[0]


def test_each_prompt_is_asked_about_once_and_validation_never(queue):
    buffer = buffer_of(queue)
    install(buffer, AwpoConfig, ReliabilityState)
    assert buffer._dapo_filtered_keys("val") == (set(), Counter())
    first = buffer._dapo_filtered_keys("train")
    assert first == buffer._dapo_filtered_keys("train") and set(queue.asked.values()) == {1}
    buffer.finished_keys["train"].discard("solved")  # the buffer has cleared it
    assert buffer._dapo_filtered_keys("train")[0] == first[0] - {"solved"}


def test_the_trainers_buffer_asks_the_estimator():
    from awpo_ext.verl_plugin.config_check import compose
    from awpo_ext.verl_plugin.driver.trainer import AwpoTrainerMixin

    class Verls:
        def _build_replay_buffer(self):
            return SimpleNamespace()

    class Trainer(AwpoTrainerMixin, Verls):
        def __init__(self, config, section):
            self.config, self._awpo, self._reliability = config, section, ReliabilityState()

    asked, plain = compose([*GOOD, *FILTER]), compose(GOOD)
    assert hasattr(Trainer(asked, AwpoConfig())._build_replay_buffer(), "_dapo_filtered_keys")
    assert not vars(Trainer(plain, AwpoConfig())._build_replay_buffer())
    assert not vars(Trainer(asked, None)._build_replay_buffer())  # another estimator's run


def test_a_sampler_of_ones_own_is_refused():
    assert problems([*GOOD, *FILTER]) == []
    sampler = "+trainer.v1.sampler.custom_sampler={path: mine.py, name: Mine}"
    found = problems([*GOOD, *FILTER, sampler])
    assert any("custom_sampler.path=mine.py replaces it" in problem for problem in found), found
