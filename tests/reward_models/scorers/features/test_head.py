"""The head on the features: numpy agrees with torch, broken arrays and options are refused, and even odds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_models.scorers.features.head import Head, HeadConfig, Rows, train_head
from reward_models.scorers.features.measure import even_odds
from tests.reward_models.scorers.helpers import SMALL

pytest.importorskip("sentence_transformers")


@pytest.mark.parametrize("options", [{"members": 0}, {"dropout": 1.0}, {"learning_rate": float("nan")}, {"seed": 0.5}])
def test_a_bad_option_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        HeadConfig(**options)


@settings(max_examples=40)
@given(st.integers(0, 2**31 - 1), st.integers(1, 12))
def test_a_head_in_numpy_is_the_network_that_torch_trained(seed, count):
    generator = np.random.default_rng(seed)
    layers = [[generator.normal(size=shape) for shape in ((3, 4), (4,), (4, 4), (4,), (4,), ())] for _ in range(2)]
    head = Head(generator.normal(size=3), generator.uniform(0.1, 2, size=3), layers)
    features = generator.normal(size=(count, 3)) * 10
    expected = []
    for row in features:  # slow and plain
        standard = np.clip((row - head.mean) / head.scale, -4, 4)
        values = []
        for w1, b1, w2, b2, w3, b3 in head.layers:
            one = [np.tanh(sum(standard[i] * w1[i, j] for i in range(3)) + b1[j]) for j in range(4)]
            two = [np.tanh(sum(one[i] * w2[i, j] for i in range(4)) + b2[j]) for j in range(4)]
            values.append(sum(two[j] * w3[j] for j in range(4)) + b3)
        expected.append(np.mean(values))
    assert head.logits(features) == pytest.approx(expected, abs=1e-9)
    again = Head.from_arrays(head.to_arrays())
    assert np.array_equal(again.logits(features), head.logits(features))


def test_a_head_of_broken_arrays_is_refused():
    head = train_head(*[Rows(np.eye(4), np.array([1.0, 0, 1, 0]), np.ones(4), np.array([-1, 0, -1, 2]))] * 2, SMALL)
    arrays = head.to_arrays()
    for broken, message in (
        ({**arrays, "0.w1": np.ones((3, 2))}, "shapes"),
        ({**arrays, "mean": np.full(4, np.nan)}, "not finite"),
        ({name: array for name, array in arrays.items() if name != "1.b1"}, "missing or unknown"),
        ({}, "missing or unknown"),
    ):
        with pytest.raises(ValueError, match=message):
            Head.from_arrays(broken)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30))
def test_even_odds_repeats_the_rarer_rows_only(labels):
    labels = np.array(labels)
    chosen = even_odds(labels)
    good = labels[chosen] > 0.5
    assert set(chosen) == set(range(len(labels)))
    if 0 < labels.sum() < len(labels):
        assert good.sum() * 2 == len(chosen)
    else:
        assert len(chosen) == len(labels)
