"""A short run of `fuzz_reward.py`: adversarial responses through `compute_score`, all verifiers, the sandbox on."""

import asyncio

import pytest

from reward_models.sandbox.lockdown import landlock_version
from reward_models.sandbox.seccomp import supported
from tests.fuzz.fuzz_reward import fuzz

pytestmark = pytest.mark.skipif(
    not (supported() and landlock_version()), reason="needs Linux with Landlock, on x86_64 or aarch64"
)


def test_no_response_raises_and_nothing_grows():
    summary = asyncio.run(fuzz(inputs=800, seconds=120, seed=7, slow_share=0.01))
    assert summary["unjudged"] <= 8  # only where no core was free for long
    assert set(summary["by_verifier"].values()) == {100}
