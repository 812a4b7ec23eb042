"""What the tests of the verifier `toolrl` share: a call, its ground truth, and the verifier with its defaults."""

from reward_models import Rollout
from reward_models.verifiers import make_verifier
from tests.reward_models.strategies import tagged

VERIFIER = make_verifier("toolrl")
CALL = {"name": "f", "parameters": {"a": 1, "b": 2}}
TRUTH = tagged("placeholder", calls=[CALL])


def verify(response, truth=TRUTH):
    return VERIFIER.verify(Rollout("", "", response, truth, "test"))
