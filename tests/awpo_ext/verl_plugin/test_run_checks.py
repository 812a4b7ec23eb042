"""Configurations that AWPO cannot train, and keys that verl drops: each is named before anything starts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.config import PRESETS, AwpoConfig
from awpo_ext.verl_plugin.config_check import compose, problems
from awpo_ext.verl_plugin.driver.run_checks import awpo_section

GOOD = [
    "algorithm.adv_estimator=awpo",
    "actor_rollout_ref.actor.policy_loss.loss_mode=awpo",
    "actor_rollout_ref.rollout.name=vllm",
    "actor_rollout_ref.rollout.n=4",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8",
    "reward.custom_reward_function.path=pkg://reward_models.reward",
    "+reward.custom_reward_function.reward_kwargs.judge=none",
]


def test_a_good_configuration_has_no_problem():
    assert problems([*GOOD, "+algorithm.awpo.gate=threshold"]) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+algorithm.awpo.gatee=ratio", "unknown key algorithm.awpo.gatee; did you mean 'gate'?"),
        ("+algorithm.awop.gate=ratio", "did you mean algorithm.awpo?"),
        ("+algorithm.awpo=ratio", "algorithm.awpo='ratio' is not a section"),
        ("trainer.save_frq=3", "Could not override 'trainer.save_frq'"),
        ("+trainer.save_freqq=3", "trainer.save_freqq=3 is ignored"),
        ("custom_reward_function.path=x.py", "is ignored by verl's V1 trainer; set reward.custom_reward_function"),
        ("+actor_rollout_ref.actor.no_such_key=1", "no_such_key"),
        ("trainer.use_v1=False", "set trainer.use_v1=True"),
        ("+algorithm.awpo.preset=grpo", "algorithm.awpo.preset='grpo' is unknown; allowed: awpo | outcome_only"),
        ("+algorithm.awpo.reasoning_weight=[1,2]", "reasoning_weight=[1.0, 2.0] has 2 entries for 1 signals"),
        ("critic.enable=True", "critic.enable=True trains a critic"),
        ("actor_rollout_ref.actor.policy_loss.loss_mode=vanilla", "ignores AWPO's clip radius"),
        ("algorithm.adv_estimator=grpo", "policy_loss.loss_mode=awpo needs algorithm.adv_estimator=awpo"),
        ("actor_rollout_ref.actor.clip_ratio_high=0.28", "+algorithm.awpo.clip_higher=1.4, the upper radius"),
        (
            "actor_rollout_ref.rollout.n=1",
            "with one every advantage is 0 and nothing is trained; set actor_rollout_ref.rollout.n=4",
        ),
        ("algorithm.norm_adv_by_std_in_grpo=False", "set +algorithm.awpo.norm_by_std=False"),
        ("actor_rollout_ref.actor.clip_ratio=0.3", "clip_ratio=0.3 is not read by the loss awpo"),
        ("actor_rollout_ref.actor.clip_ratio_c=0.5", "clip_ratio_c=0.5 is out of range"),
        ("reward.reward_model.enable=True", "set reward.reward_model.enable_resource_pool=True"),
        ("+algorithm.awpo.reasoning_key=relevance", "algorithm.awpo.reasoning_key=relevance is not a number that"),
        ("+algorithm.awpo.outcome_valid_key=outcom_valid", "did you mean 'outcome_valid'?"),
        ("distillation.enabled=True", "distillation.enabled=True replaces the policy loss"),
        ("reward.custom_reward_function.reward_kwargs.judge=embeding", "judge='embeding' is not known"),
        ("reward.custom_reward_function.path=pkg://reward_models.nothing", "reward_models.nothing"),
    ],
)
def test_what_is_wrong_is_named(override, message):
    found = problems([*GOOD, override])
    assert any(message in problem for problem in found), found


def test_the_range_of_the_outcome_comes_from_the_reward_function(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def compute_score(*args, **kwargs): ...\ncompute_score.outcome_range = lambda top=1.0: (0.0, top)\n"
    )
    mine = [*GOOD[:-2], f"reward.custom_reward_function.path={tmp_path}/mine.py"]
    section = awpo_section(compose([*mine, "+reward.custom_reward_function.reward_kwargs.top=2.0"]))
    assert (section.reward_min, section.reward_max) == (0.0, 2.0)
    section = awpo_section(compose([*mine, "+algorithm.awpo.reward_max=5.0"]))
    assert (section.reward_min, section.reward_max) == (0.0, 5.0)  # a key that is given wins
    (problem,) = problems([*mine, "+reward.custom_reward_function.reward_kwargs.bottom=1"])
    assert "mine.py" in problem and "bottom" in problem


def test_bypass_mode_goes_with_what_verl_reads_of_it():
    bypass = [*GOOD, "algorithm.rollout_correction.bypass_mode=True"]
    assert problems(bypass) == []
    (problem,) = problems([*bypass, "algorithm.rollout_correction.rollout_is=token"])
    assert "rollout_is=token is not read with bypass_mode=True" in problem


@pytest.mark.parametrize(("metric", "warns"), [("reward", True), ("outcome_plus_reasoning", False), ("awpo", False)])
def test_filtering_groups_by_outcome_warns(caplog, metric, warns):
    filtering = ["algorithm.filter_groups.enable=True", f"algorithm.filter_groups.metric={metric}"]
    assert problems([*GOOD, *filtering]) == []
    assert ("where AWPO leans on the judge" in caplog.text) == warns


def test_a_filter_of_groups_needs_a_column_that_there_is():
    filtering = ["algorithm.filter_groups.enable=True", "algorithm.filter_groups.metric=outcome_plus_reasonin"]
    (problem,) = problems([*GOOD, *filtering])
    assert "filter_groups.metric=outcome_plus_reasonin" in problem and "'outcome_plus_reasoning'" in problem


@pytest.mark.parametrize("mode", ["colocate_async", "separate_async"])
def test_the_other_trainer_modes_are_fine(mode):
    assert problems([*GOOD, f"trainer.v1.trainer_mode={mode}"]) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_with_a_fixed_radius_may_keep_verls_loss(preset):
    vanilla = ["actor_rollout_ref.actor.policy_loss.loss_mode=vanilla", f"+algorithm.awpo.preset={preset}"]
    fixed = AwpoConfig.from_mapping({"preset": preset}).clip_schedule == "fixed"
    assert (problems([*GOOD, *vanilla]) == []) == fixed


def test_one_update_a_batch_warns_that_clipping_is_inert(caplog):
    assert problems([*GOOD, "data.train_batch_size=64", "actor_rollout_ref.actor.ppo_mini_batch_size=64"]) == []
    assert "no clip radius has any effect" in caplog.text


BAD_TOOLS = '[{"name": "f", "parameters": {"type": "object", "properties": {"x": {"enum": "a"}}}}]'


@pytest.mark.parametrize(
    ("truth", "tools", "says"),
    [
        ("", "", "reward_model.ground_truth is blank"),
        (None, "", "reward_model.ground_truth is of type NoneType"),
        ('[{"name": "f", "argument": {"a": 1}}]', "", "the key 'argument'"),
        ('[{"name": "f", "arguments": {}}]', BAD_TOOLS, "tool 'f'"),
    ],
)
def test_a_row_that_no_response_could_be_scored_on_is_named(tmp_path, truth, tools, says):
    rows = [
        {
            "data_source": "sums",
            "prompt": [{"role": "user", "content": "2 + 2?"}],
            "reward_model": {"style": "rule", "ground_truth": text},
            "extra_info": {"index": i, "tools": tools},
        }
        for i, text in enumerate(["[]", truth])
    ]
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    strict = "+reward.custom_reward_function.reward_kwargs.verifier=strict"
    (problem,) = problems([*GOOD, strict, f"data.train_files={path}"])
    number = 0 if tools else 1  # no call is expected in row 0, whose tools are read all the same
    assert f"data.train_files={path}, row {number}: " in problem and says in problem
