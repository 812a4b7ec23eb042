"""Options as annotated dataclasses: what an annotation takes, what it refuses, and how it says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_models.options import Misfit, NotEmpty, OneOf, Options, Range, Text, fit, plain, refuse_unknown, require

Share = Annotated[float, Range(0, 1)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@dataclass(frozen=True)
class Trial(Options, owner="trial"):
    """Annotations as texts, by the __future__ import."""

    mode: Literal["fast", "exact"] = "fast"
    share: Share = 0.5
    count: Annotated[int, Range(1, math.inf, "[)")] = 1
    model: Annotated[str | None, Text("a folder, or null")] = None
    names: Annotated[tuple[str, ...], NotEmpty()] = ("a",)
    dialect: Annotated[str, OneOf(("auto", "json"))] = "auto"
    prices: Annotated[tuple[Share, Share], "two prices"] = (0.0, 0.0)
    extra: Annotated[Mapping[str, Any], "an object"] = ()  # type: ignore[assignment]
    free: str | Sequence[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", self.extra or {})
        super().__post_init__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "slow"}, "trial: mode='slow' is not known; known: fast, exact"),
        ({"mode": ["fast"]}, "trial: mode=['fast'] is not known; known: fast, exact"),
        ({"share": 1.5}, "trial: share=1.5 must be a number in [0, 1]"),
        ({"share": math.nan}, "trial: share=nan must be a number in [0, 1]"),
        ({"share": True}, "trial: share=True must be a number in [0, 1]"),
        ({"share": None}, "trial: share=None must be a number in [0, 1]"),
        ({"count": 1.0}, "trial: count=1.0 must be an integer in [1, inf)"),
        ({"count": 0}, "trial: count=0 must be an integer in [1, inf)"),
        ({"model": " "}, "trial: model=' ' must be a folder, or null"),
        ({"names": []}, "trial: names=[] is empty; give at least one value"),
        ({"names": ["a", ""]}, "trial: names='' must be a text that is not empty"),
        ({"dialect": "xml"}, "trial: dialect='xml' is not known; known: auto, json"),
        ({"prices": 1}, "trial: prices=1 must be two prices"),
        ({"prices": [0, 2]}, "trial: prices=2 must be a number in [0, 1]"),
        ({"extra": [1]}, "trial: extra=[1] must be an object"),
        ({"modes": 1}, "trial: unknown key 'modes'; did you mean 'mode'? known keys: count, "),
    ],
)
def test_a_refusal_names_owner_key_value_and_what_is_allowed(options, message):
    with pytest.raises(ValueError) as error:
        Trial.read(options)
    assert str(error.value).startswith(message)


def test_what_fits_is_made_to_fit():
    trial = Trial.read({"share": 1, "names": "b", "prices": [1, 0], "model": "m", "free": 3, "count": 10**400})
    assert (trial.share, trial.names, trial.prices, trial.model) == (1.0, ("b",), (1.0, 0.0), "m")
    assert type(trial.share) is float and trial.free == 3


@given(st.sampled_from(["mode", "share", "count", "model", "names", "dialect", "prices", "extra"]), JSON)
def test_any_value_fits_or_is_refused_by_key(key, value):
    try:
        trial = Trial.read({key: value})
    except ValueError as error:
        assert str(error).startswith(f"trial: {key}=")
    else:
        assert trial == Trial.read({key: getattr(trial, key)})


def test_an_int_beyond_every_float_is_out_of_range():
    with pytest.raises(Misfit, match="out of range"):
        fit(Annotated[float, Range(0, math.inf)], 10**400)


@pytest.mark.parametrize("ends", ["[]", "()", "[)", "(]"])
def test_a_range_says_which_end_belongs_to_it(ends):
    range_ = Range(0, 1, ends)
    assert (0 in range_, 1 in range_, 0.5 in range_, math.nan in range_) == (
        ends[0] == "[",
        ends[1] == "]",
        True,
        False,
    )
    assert str(range_) == f"{ends[0]}0, 1{ends[1]}"


def test_a_single_value_is_checked_the_same_way():
    assert require("owner", "key", 1, Share) == 1.0
    with pytest.raises(ValueError, match=r"owner: key=2 must be a number in \[0, 1\]"):
        require("owner", "key", 2, Share)


def test_without_any_known_key_none_is_listed():
    with pytest.raises(ValueError, match=r"owner: unknown key 'a'; known keys: \(none\)"):
        refuse_unknown({"a": 1}, [], "owner")


def test_plain_copies_nested_containers():
    given = {"a": ({"b": 1},), 2: "text"}
    assert plain(given) == {"a": [{"b": 1}], "2": "text"}
