"""A thought that the prompt opens and that does not end: whoever reads the response reads it alike."""

import pytest

from reward_models.parsing import THINKING, Status
from reward_models.reward import compute_score
from reward_models.rollout_view import read_rollout
from tests.reward_models.strategies import tagged
from tests.reward_models.test_reward import EXTRA, SPY, SpyJudge, run

CUT_OFF = "The user asks for f, so I would write"  # a thought that the prompt has opened, and that does not end


@pytest.mark.parametrize(
    ("row", "kwargs", "opened"),
    [
        ({}, {}, False),
        ({}, {"thinking": "opened"}, True),
        ({}, {"verifier_kwargs": {"thinking": "opened"}}, True),
        ({"thinking": "auto"}, {"thinking": "opened"}, False),
        ({"thinking": "opened"}, {}, True),
        ({"turns": [[CUT_OFF]]}, {"thinking": "opened"}, False),
    ],
)
def test_verifier_columns_and_judge_agree_on_a_thought_that_the_prompt_opens(row, kwargs, opened):
    columns = run(
        CUT_OFF, tagged("t", response="Hello."), extra_info={**EXTRA, **row}, verifier="strict", judge=SPY, **kwargs
    )
    seen = read_rollout(SpyJudge.seen[-1]).as_one
    assert (columns["score"] < 0) is opened and columns["parsable"] == (not opened)
    assert (seen.status is Status.UNPARSEABLE) is opened


def test_an_unknown_value_is_named():
    with pytest.raises(ValueError, match="thinking='closed'"):
        compute_score.outcome_range(thinking="closed")
    assert {compute_score.outcome_range(thinking=value) for value in THINKING} == {compute_score.outcome_range()}
