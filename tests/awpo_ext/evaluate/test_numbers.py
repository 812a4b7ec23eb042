"""The statistics beside slow references."""

from itertools import combinations
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awpo_ext.evaluate.numbers import bootstrap_mean, mcnemar, pass_at_k, wilson_interval


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(numbers):
    n, right, k = numbers
    samples = [True] * right + [False] * (n - right)
    subsets = [any(chosen) for chosen in combinations(samples, k)]
    assert pass_at_k(n, right, k) == pytest.approx(sum(subsets) / len(subsets))


def test_pass_at_k_refuses_more_than_were_drawn():
    with pytest.raises(ValueError, match="k=3"):
        pass_at_k(2, 1, 3)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_its_closed_form(numbers):
    right, n = numbers
    z, p = 1.959963984540054, right / n
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = wilson_interval(right, n)
    assert low == pytest.approx(max(0, (middle - half) / (1 + z * z / n)), abs=1e-9)
    assert high == pytest.approx(min(1, (middle + half) / (1 + z * z / n)), abs=1e-9)


@given(st.integers(0, 20), st.integers(0, 20))
def test_mcnemar_is_the_two_sided_sign_test(first, second):
    n = first + second
    tail = sum(comb(n, i) for i in range(min(first, second) + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))


def test_the_bootstrap_holds_the_mean_and_narrows_with_more_items():
    few, many = bootstrap_mean([0.0, 1.0] * 10), bootstrap_mean([0.0, 1.0] * 400)
    assert few[0] < 0.5 < few[1] and many[0] < 0.5 < many[1]
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.5 / sqrt(800), rel=0.15)
    assert bootstrap_mean([1.0] * 5) == (1.0, 1.0)
