"""The judge's reliability: what it takes to be believed, how far that goes, and how it is lost and kept."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.advantage import awpo_advantages
from awpo_ext.config import AwpoConfig, AwpoConfigError
from awpo_ext.reliability import SURE, ReliabilityState, updated
from tests.awpo_ext.batches import KNOWN, batches, cases, configs, run

GATE = AwpoConfig(gate="reliability", integration="reasoning", difficulty="none")
FRESH = ReliabilityState()
states = st.builds(ReliabilityState, st.floats(-1, 1), st.floats(1e-9, 1), st.floats(0, 1e9))
trusted = {"gate": "reliability", "integration": "reasoning"}


def simulated(runs, groups, size, correlation, seed=0):
    """`(runs, groups, size)` outcomes of 0 or 1, and scores whose latent correlation with what decides them is given."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(runs, groups, size))
    noise = rng.normal(size=latent.shape)
    scores = correlation * latent + math.sqrt(1 - correlation**2) * noise
    return (latent > 0.3).astype(float), 1 / (1 + np.exp(-scores))


def learned(outcomes, scores, steps=1, config=GATE):
    """The state after these groups `(groups, size)`, in as many batches."""
    state = FRESH
    for out, score in zip(np.array_split(outcomes, steps), np.array_split(scores, steps), strict=True):
        labels = np.repeat(np.arange(len(out)), out.shape[1])
        state = awpo_advantages(out.ravel(), score.ravel(), labels, config, reliability=state).reliability
    return state


@given(cases(fixed=trusted))
def test_a_judge_that_has_shown_nothing_has_no_say(case):
    batch, config = case
    result = run(batch, config, FRESH)
    assert not result.gate.any() and not result.judge_part.any()


@given(cases(fixed={"integration": "reasoning"}), states)
def test_weights_are_bounded_and_a_batch_does_not_raise_its_own(case, state):
    """An informative outcome is never outweighed, and unchecked groups together move less than the checked ones."""
    batch, config = case
    config = AwpoConfig(**(vars(config) | {"gate": "reliability", "whiten": False}))
    result = run(batch, config, state)
    differ = result.task_stats.std > 0
    assert ((result.gate >= 0) & (result.gate < 1)).all() and (result.gate[differ] <= 0.5).all()
    assert set(result.gate[differ].tolist()) <= {0.0, state.trust**2 / (1 + state.trust**2)}
    unchecked = result.judge_part[~differ[result.group_index]].square().sum()
    checked = result.outcome_part[differ[result.group_index]].square().sum()
    assert unchecked <= state.trust**4 * checked + 1e-9


@given(batches(min_groups=1, outcomes=st.just(-3.0)), states)
def test_a_batch_in_which_no_outcome_informs_leaves_the_judge_no_say(batch, state):
    batch = batch.with_(kl_penalty=[0.0] * len(batch))
    assert not run(batch, GATE, state).advantages.any()


@given(states, st.integers(1, 10_000), st.floats(0, 1))
def test_without_evidence_trust_only_falls(state, groups, share):
    after = updated(state, 0.0, 0.0, groups, share * groups, GATE)
    assert after.trust <= state.trust and after.variance >= state.variance - 1e-12
    used = updated(state, 0.0, 0.0, groups, groups, GATE)
    assert used.trust <= after.trust


@given(st.floats(0, 1), st.floats(1e-9, 1), st.sampled_from([1, 16, 512]))
def test_a_judge_whose_evidence_dries_up_is_silent_within_0_16_horizons(mean, variance, step):
    """1,574 groups at the default horizon, whatever it had earned; 394 where it alone decided them."""
    for unchecked, groups in ((0, 1574), (1, 394)):
        state, seen = ReliabilityState(mean, variance), 0
        while state.trust > 0:
            state, seen = updated(state, 0.0, 0.0, step, unchecked * step, GATE), seen + step
        assert seen <= groups + step


@pytest.mark.parametrize("batch_of", [8, 512])
def test_a_judge_that_turns_is_silent_within_some_hundred_groups(batch_of):
    """From the best that it can have earned: 4 rollouts a group, half of the groups informative at these outcomes."""
    outcomes, scores = simulated(1, 4096, 4, 0.9)
    state = learned(outcomes[0], scores[0], 4096 // batch_of)
    assert state.trust > 0.4
    outcomes, scores = simulated(1, 4096, 4, -0.5, seed=1)
    seen = 0
    while state.trust > 0:
        part = slice(seen, seen + batch_of)
        columns = outcomes[0, part].ravel(), scores[0, part].ravel(), np.repeat(np.arange(batch_of), 4)
        state = awpo_advantages(*columns, GATE, reliability=state).reliability
        seen += batch_of
    assert seen <= 512


def test_a_random_or_constant_judge_is_believed_no_more_often_than_stated():
    outcomes, scores = simulated(10_000, 16, 4, 0.0)
    believed = sum(learned(out, score).trust > 0 for out, score in zip(outcomes, scores, strict=True))
    assert believed / 10_000 <= 0.05 + 1.645 * math.sqrt(0.05 * 0.95 / 10_000)
    assert learned(outcomes[0], np.full_like(scores[0], 0.7)) == ReliabilityState(0.0, 1.0, 16.0)


@pytest.mark.parametrize("size", [2, 4, 16])
def test_trust_rises_with_the_true_correlation(size):
    trust = []
    for correlation in (-0.5, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        trust.append(learned(*(x[0] for x in simulated(1, 4096, size, correlation)), steps=8).trust)
    assert trust[:2] == [0.0, pytest.approx(0.0, abs=0.05)] and trust == sorted(trust) and trust[-1] > 0.5


@given(states)
def test_trust_is_the_mean_shrunk_by_its_interval(state):
    low, high = state.interval
    assert -1 <= low <= state.mean <= high <= 1
    assert (state.trust > 0) == (state.mean - SURE * math.sqrt(state.variance) > 0) or abs(low) < 1e-6
    assert 0 <= state.trust <= max(state.mean, 0)


@given(states)
def test_a_checkpoint_brings_back_every_bit(state):
    assert ReliabilityState.from_dict(json.loads(json.dumps(state.as_dict()))) == state


@given(cases(fixed=trusted), st.data())
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(case, data):
    batch, config = case
    first = run(batch, config, KNOWN).reliability
    resumed = ReliabilityState.from_dict(json.loads(json.dumps(first.as_dict())))
    assert torch.equal(run(batch, config, resumed).advantages, run(batch, config, first).advantages)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"mean": 0.5}, r"has the keys \['groups', 'mean', 'variance'\]; this one has \['mean'\]"),
        (
            {"mean": math.nan, "variance": 1.0, "groups": 0.0},
            r"mean=nan, .* is not a reliability: mean must be in \[-1, 1\]",
        ),
        ({"mean": 0.1, "variance": 0.0, "groups": 0.0}, r"variance must|variance in \(0, 1\]"),
    ],
)
def test_a_damaged_checkpoint_is_refused(saved, message):
    with pytest.raises(ValueError, match=message):
        ReliabilityState.from_dict(saved)


def test_the_gate_asks_for_its_state_and_for_a_blend_that_it_can_weigh():
    with pytest.raises(ValueError, match=r"gate=reliability got no reliability; pass .*ReliabilityState\(\)"):
        awpo_advantages([0.0, 1.0], [0.0, 1.0], [0, 0], GATE)
    with pytest.raises(AwpoConfigError, match="gate='reliability' does not go with integration='decoupled'"):
        AwpoConfig(gate="reliability", integration="decoupled")


@given(batches(min_groups=1), configs())
def test_other_gates_carry_it_on_and_do_not_hear_it(batch, config):
    config = AwpoConfig(**(vars(config) | {"gate": "signal"}))
    known, fresh = run(batch, config, KNOWN), run(batch, config, FRESH)
    assert torch.equal(known.advantages, fresh.advantages)
    assert known.reliability.groups == KNOWN.groups + fresh.reliability.groups
