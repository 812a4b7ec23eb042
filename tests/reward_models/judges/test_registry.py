"""Judges and verifiers are chosen by one key; what does not fit is refused by name."""

import asyncio

import pytest

from reward_models import Rollout, Scored, UnscoredReason
from reward_models.judges import Judge, make_judge
from reward_models.options import plain
from reward_models.verifiers import make_verifier

ROLLOUT = Rollout("q", "[]", "r", "g", "test")


class HalfJudge(Judge):
    """A user's own judge."""

    def __init__(self, value=0.5):
        self.value = value

    async def score(self, rollout):
        return Scored(self.value)


class UnfinishedJudge(Judge):
    """Lacks `score`."""


def test_the_disabled_judge_scores_nothing():
    assert asyncio.run(make_judge("none").score(ROLLOUT)).reason is UnscoredReason.JUDGE_DISABLED


def test_a_judge_of_ones_own():
    judge = make_judge(f"{__name__}:HalfJudge", value=0.25)
    judge.check()
    assert asyncio.run(judge.score(ROLLOUT)) == Scored(0.25)


@pytest.mark.parametrize("name", ["embeding", "", None, 3])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"'embedding', 'llm', 'llm_group', 'none'.*package\.module:Class"):
        make_judge(name)
    with pytest.raises(ValueError, match="'toolrl'"):
        make_verifier(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package.module:Judge", "cannot be imported"),
        ("json:NoSuchClass", "cannot be imported"),
        (":Judge", "cannot be imported"),
        ("json:JSONDecoder", "must be a subclass of reward_models.judges.base.Judge"),
        ("json:dumps", "must be a subclass"),
        (f"{__name__}:UnfinishedJudge", "does not implement: score"),
    ],
)
def test_a_class_that_is_no_judge(name, message):
    with pytest.raises(ValueError, match=message):
        make_judge(name)


def test_an_unknown_option_of_ones_own_judge():
    with pytest.raises(ValueError, match="valeu"):
        make_judge(f"{__name__}:HalfJudge", valeu=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"windw_ms": 5},
            r"unknown key 'windw_ms'; did you mean 'window_ms'\? known keys: cache_size, max_batch",
        ),
        ({"window_ms": -1}, r"window_ms=-1 must be a number in \[0, 1000\]"),
        ({"window_ms": float("nan")}, "window_ms=nan"),
        ({"threads": 0}, r"threads=0 must be an integer in \[1, 256\]"),
        ({"threads": True}, "threads=True"),
        ({"max_batch": 1.5}, "max_batch=1.5"),
        ({"max_chars": "many"}, "max_chars='many'"),
        ({"cache_size": -1}, "cache_size=-1"),
        ({"model": ""}, "model=''"),
        ({"model": 3}, "model=3"),
    ],
)
def test_bad_options_of_the_embedding_judge(options, message):
    with pytest.raises(ValueError, match=message):
        make_judge("embedding", **options)


def test_judges_and_verifiers_without_options_refuse_any():
    with pytest.raises(ValueError, match=r"judge 'none': unknown key 'model'.*\(none\)"):
        make_judge("none", model="x")
    with pytest.raises(ValueError, match="verifier 'toolrl': unknown key 'strict'"):
        make_verifier("toolrl", strict=True)


def test_omegaconf_containers_become_plain_ones():
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"a": {"b": [1, {"c": "${a.d}"}], "d": "x"}})
    copied = plain(config)
    assert copied == {"a": {"b": [1, {"c": "x"}], "d": "x"}}
    assert type(copied["a"]) is dict and type(copied["a"]["b"]) is list
