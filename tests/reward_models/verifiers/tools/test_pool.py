"""Heavy verifiers in processes: killed, hung, raising, cancelled; the event loop goes on."""

import asyncio
import math
import os
import signal
import time

import pytest

from reward_models import Rollout
from reward_models.reward import compute_score, outcome_range, preflight
from reward_models.verifiers import Outcome, Verifier
from reward_models.verifiers.reasons import reason_code
from reward_models.verifiers.tools.pool import VerifierPool


class Heavy(Verifier):
    """Does what the response says, in a process of its own."""

    outcome_range = (-1.0, 3.0)
    heavy = True

    def __init__(self, bonus=0.0):
        self.bonus = bonus

    def verify(self, rollout):
        command, _, argument = rollout.response.partition(" ")
        if command == "die" or (command == "die_once" and not os.path.exists(argument)):
            if argument:
                open(argument, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if command == "sleep":
            time.sleep(float(argument))
        if command == "raise":
            raise ValueError("the row is bad")
        return Outcome(0.0, 3.0 + self.bonus, str(os.getpid()))


class Waiting(Heavy):
    """Heavy, but waits by itself."""

    async def verify_async(self, rollout):
        return self.verify(rollout)


HEAVY, WAITING = f"{__name__}:Heavy", f"{__name__}:Waiting"
GOOD = Outcome(0.0, 3.0, "")


def rollout(response):
    return Rollout("", "", response, "t", "", {"index": 3})


def in_pool(main, size=1, **options):
    async def run():
        return await main(VerifierPool(HEAVY, {}, Heavy.outcome_range, size, **options))

    return asyncio.run(run())


def test_it_runs_elsewhere_and_the_processes_stay():
    async def main(pool):
        return [(await pool.verify_async(rollout("go"))).reason for _ in range(3)]

    pids = set(in_pool(main, size=2))
    assert len(pids) == 1 and str(os.getpid()) not in pids


def test_a_killed_worker_is_replaced_and_the_call_made_again(tmp_path):
    async def main(pool):
        return await pool.verify_async(rollout(f"die_once {tmp_path / 'died'}"))

    outcome = in_pool(main)
    assert (outcome.correctness, outcome.valid) == (3.0, True)


def test_a_call_that_kills_twice_is_not_a_bad_response_and_hurts_no_other():
    async def main(pool):
        calls = (pool.verify_async(rollout(text)) for text in ("die", "go", "sleep 0.3", "go"))
        return await asyncio.gather(*calls)

    died, *others = in_pool(main, size=2)
    assert (died.outcome, died.reason, died.valid) == (1.0, "worker_died", False)  # the middle of [-1, 3]
    assert all(other.correctness == 3.0 and other.valid for other in others)


def test_a_worker_killed_from_outside_while_idle():
    async def main(pool):
        first = await pool.verify_async(rollout("go"))
        os.kill(int(first.reason), signal.SIGKILL)
        await asyncio.sleep(0.2)
        return first, await pool.verify_async(rollout("go"))

    first, second = in_pool(main)
    assert second.valid and second.correctness == 3.0 and second.reason != first.reason


def test_a_hung_worker_is_killed():
    async def main(pool):
        hung = await pool.verify_async(rollout("sleep 60"))
        return hung, await pool.verify_async(rollout("go"))

    started = time.monotonic()
    hung, after = in_pool(main, time_limit=2.0)
    assert (hung.reason, hung.valid) == ("worker_hung", False)
    assert after.valid and time.monotonic() - started < 30


def test_an_error_of_the_verifier_is_raised_here():
    async def main(pool):
        with pytest.raises(ValueError, match="the row is bad"):
            await pool.verify_async(rollout("raise"))
        return await pool.verify_async(rollout("go"))

    assert in_pool(main).valid


def test_a_cancelled_call_frees_its_worker():
    async def main(pool):
        task = asyncio.create_task(pool.verify_async(rollout("sleep 60")))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.wait_for(pool.verify_async(rollout("go")), 20)

    assert in_pool(main).valid


def score(response, **options):
    return compute_score("d", response, "t", {"index": 3}, judge="none", verifier=HEAVY, **options)


def test_the_reward_function_never_blocks_the_loop():
    async def main():
        await score("go", verifier_processes=1)
        longest, ticking = 0.0, True

        async def tick():
            nonlocal longest
            while ticking:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)

        ticker = asyncio.create_task(tick())
        columns = await score("sleep 1", verifier_processes=1)
        ticking = False
        await ticker
        return columns, longest

    columns, longest = asyncio.run(main())
    assert columns["score"] == 3.0 and columns["outcome_valid"] == 1.0 and longest < 0.5


def test_the_columns_of_what_was_not_judged():
    columns = asyncio.run(score("die", verifier_processes=1))
    assert (columns["score"], columns["outcome_valid"]) == (1.0, 0.0)
    assert columns["outcome_reason"] == reason_code("worker_died") > 0
    assert not math.isnan(columns["score"])


def test_a_bad_row_is_named_across_processes():
    with pytest.raises(ValueError, match=r"index=3.*the row is bad"):
        asyncio.run(score("raise", verifier_processes=1))


def test_a_verifier_that_waits_by_itself_needs_no_process():
    assert Heavy().needs_process and not Waiting().needs_process
    columns = asyncio.run(compute_score("d", "go", "t", judge="none", verifier=WAITING))
    assert columns["score"] == 3.0 and columns["outcome_reason"] == 0.0


def test_a_composite_of_heavy_parts():
    parts = {"composite": {"parts": {HEAVY: 2}}, "waiting": {"parts": {WAITING: 2}}}
    for options in parts.values():
        columns = asyncio.run(
            compute_score(
                "d", "go", "t", judge="none", verifier="composite", verifier_kwargs=options, verifier_processes=1
            )
        )
        assert columns["score"] == 2.0
    with pytest.raises(ValueError, match="verifier_processes=0"):
        preflight(judge="none", verifier=HEAVY, verifier_processes=0)


def test_the_range_of_a_configuration():
    assert outcome_range() == outcome_range(verifier="strict", judge="none") == (-3.0, 4.0)
    assert outcome_range(verifier="composite", verifier_kwargs={"parts": {"format": 1, "strict": 3}}) == (0.0, 4.0)
    assert outcome_range(verifier=HEAVY, verifier_kwargs={"bonus": 1.0}) == (-1.0, 3.0)
    assert compute_score.outcome_range == outcome_range
    with pytest.raises(ValueError, match="verifer"):
        outcome_range(verifer="strict")
