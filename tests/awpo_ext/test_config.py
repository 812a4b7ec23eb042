"""AwpoConfig: every mistake names the key, the value and what is allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.config import AwpoConfig, AwpoConfigError
from reward_models.options import Misfit, fit, kinds_of
from tests.awpo_ext.batches import many


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ({"gatee": "ratio"}, ["unknown key algorithm.awpo.gatee;", "did you mean 'gate'?", "allowed keys: "]),
        (
            {"gate": "ratios"},
            ["algorithm.awpo.gate='ratios'", "ratio | signal | reliability | threshold | none | always"],
        ),
        ({"gate": 3}, ["algorithm.awpo.gate=3", "ratio | signal | reliability | threshold | none | always"]),
        ({"whiten": "true"}, ["whiten='true' has the wrong type", "true or false"]),
        ({"reasoning_weight": [1, -1]}, ["reasoning_weight=-1 is out of range", "[0.0, inf)"]),
        ({"reasoning_key": [3]}, ["reasoning_key=3 has the wrong type"]),
        ({"reward_max": 10**400}, ["reward_max=1000", "is out of range"]),
        ({"clip_higher": 0.5}, ["clip_higher=0.5 is out of range", "[1.0, inf)"]),
        ({"difficulty_low": 0.9}, ["difficulty_low=0.9 is above difficulty_high=0.8"]),
        ({"outcome_valid_key": None}, ["outcome_valid_key=None has the wrong type"]),
        ({"zzz": 1}, ["unknown key algorithm.awpo.zzz; allowed keys: preset, reasoning_key, "]),
        ({"gate_threshold": 0.5}, ["algorithm.awpo.gate_threshold=0.5", "(0.0, 0.5)"]),
        ({"clip_min": 0.3}, ["clip_min=0.3 is above clip_max=0.2"]),
        ({"reward_min": 5}, ["reward_min=5.0 is not below reward_max=4.0"]),
        ({"norm_by_std": 1}, ["norm_by_std=1 has the wrong type", "true or false"]),
        ({"reasoning_weight": "1"}, ["reasoning_weight='1' has the wrong type", "a number in [0.0, inf)"]),
        ({"reasoning_weight": True}, ["reasoning_weight=True has the wrong type"]),
        ({"epsilon": math.nan}, ["epsilon=nan is out of range"]),
        ({"reward_max": math.inf}, ["reward_max=inf is out of range"]),
        ({"valid_key": ""}, ["valid_key='' has the wrong type"]),
        ({"reasoning_key": []}, ["reasoning_key=[] is empty"]),
        ({"reasoning_key": ["a", "a"]}, ["reasoning_key=['a', 'a'] names a column twice"]),
        ({"reasoning_key": ["a", "b"], "valid_key": "ok"}, ["valid_key=['ok'] has 1 entries for 2 signals"]),
        ({"judge_stop_share": 0}, ["judge_stop_share=0 is out of range", "(0.0, inf]"]),
        ({"judge_stop_steps": 1.5}, ["judge_stop_steps=1.5 has the wrong type", "an integer in [1, 10000]"]),
        ({"judge_stop_steps": 0}, ["judge_stop_steps=0 is out of range"]),
        ({"weighting": "variation"}, ["weighting='variation' weighs whole signals", "gate=always", "preset=saw"]),
        ({"norm_by_mean": True}, ["norm_by_mean=True does not go with norm_by_std=True"]),
        ({"outcome_error_rate": 0.5}, ["outcome_error_rate=0.5 is out of range", "[0.0, 0.5)"]),
        ({"reward_components": 3}, ["reward_components=3 has the wrong type", "a mapping of column names to weights"]),
        ({"reward_components": {"a": "1"}}, ["algorithm.awpo.reward_components.a='1' has the wrong type", "a number"]),
        ({"reward_components": ["a", "a"]}, ["reward_components=['a', 'a'] names a column twice"]),
        (
            {"reward_components": [{"a": 1}]},
            ["reward_components=[{'a': 1}] has the wrong type", "or a list of column names"],
        ),
        ({"reward_components": {"a": 0}}, ["has no weight other than 0"]),
        ({"reward_components": {3: 1.0}}, ["reward_components names 3"]),
        ({"reward_components": ["reasoning"]}, ["reward_components and reasoning_key both name 'reasoning'"]),
        ({"reward_components": ["a"], "reward_max": 2.0}, ["reward_max=2.0 does not go with reward_components", "1.0"]),
        ({"reward_components": ["a"], "reward_max": 4.0}, ["reward_max=4.0 does not go with reward_components"]),
        ({"component_range": {"b": [0, 1]}}, ["component_range.b=[0, 1] is the range of nothing"]),
        ({"reward_components": ["ab"], "component_range": {"abc": [0, 1]}}, ["did you mean 'ab'?"]),
        ({"reward_components": ["a"], "component_range": {"a": 2}}, ["component_range.a=2 has the wrong type"]),
        (
            {"reward_components": ["a"], "component_range": {"a": [1, 0]}},
            ["component_range.a=[1.0, 0.0] is not a range"],
        ),
        ({"preset": "ppo"}, ["algorithm.awpo.preset='ppo' is unknown", "awpo | outcome_only"]),
    ],
)
def test_mistakes_are_named(section, parts):
    with pytest.raises(AwpoConfigError) as error:
        AwpoConfig.from_mapping(section)
    for part in parts:
        assert part in str(error.value)


def test_defaults_and_freezing():
    assert AwpoConfig.from_mapping(None) == AwpoConfig()
    with pytest.raises(AttributeError):
        AwpoConfig().gate = "none"


KINDS = kinds_of(AwpoConfig)


@pytest.mark.parametrize("key", KINDS)
def test_no_field_takes_everything(key):
    """Each annotation says what is allowed: no field takes an object or an empty text."""
    for value in (object(), ""):
        with pytest.raises(Misfit):
            fit(KINDS[key], value)


@many
@given(st.sampled_from(sorted(key for key in KINDS if isinstance(getattr(AwpoConfig(), key), float))), st.floats())
def test_a_number_is_taken_as_it_is_or_refused_by_name(key, value):
    try:
        config = AwpoConfig.from_mapping({key: value})
    except AwpoConfigError as error:
        assert key in str(error)
    else:
        assert getattr(config, key) == value


def test_one_value_stands_for_all_signals_and_valid_keys_follow_the_columns():
    config = AwpoConfig.from_mapping({"reasoning_key": ["relevance", "grounding"], "reasoning_weight": 2})
    assert config.reasoning_weight == (2.0, 2.0) and config.signals == 2
    assert config.valid_key == ("relevance_valid", "grounding_valid")
    assert AwpoConfig(reasoning_key="relevance", valid_key="ok").valid_key == ("ok",)


def test_components_are_a_mapping_or_a_list_and_give_the_range_of_their_sum():
    config = AwpoConfig.from_mapping({"reward_components": {"a": 2, "b": -1, "c": 0}, "component_range": {"b": [0, 3]}})
    assert (config.reward_min, config.reward_max, config.components) == (-3.0, 2.0, ("a", "b", "c"))
    assert AwpoConfig(reward_components=["a", "b"]).reward_components == {"a": 1.0, "b": 1.0}
    assert AwpoConfig.from_mapping(vars(config)) == config and AwpoConfig(reward_components={}) == AwpoConfig()
