"""The micro-batcher: few calls, order kept, failures to all, nothing lost on cancellation."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from reward_models.judges.batching import MicroBatcher
from reward_models.per_loop import PerLoop


class Recorder:
    """A blocking function that remembers its batches and the threads that ran it."""

    def __init__(self, run=lambda items: [item * 10 for item in items]):
        self.batches, self.threads, self._run = [], set(), run

    def __call__(self, items):
        self.batches.append(list(items))
        self.threads.add(threading.get_ident())
        return self._run(items)


def batcher_of(run, *, window_s=0.02, max_items=1000):
    return MicroBatcher(run, ThreadPoolExecutor(max_workers=1), window_s, max_items)


def test_concurrent_submissions_share_one_call_and_keep_their_order():
    run = Recorder()

    async def main():
        batcher = batcher_of(run)
        return await asyncio.gather(*(batcher.submit([i, -i]) for i in range(50)))

    assert asyncio.run(main()) == [[10 * i, -10 * i] for i in range(50)]
    assert len(run.batches) == 1
    assert threading.get_ident() not in run.threads


def test_a_full_batch_does_not_wait_for_the_window():
    run = Recorder()

    async def main():
        batcher = batcher_of(run, window_s=30, max_items=4)
        return await asyncio.gather(*(batcher.submit([i]) for i in range(8)))

    assert asyncio.run(asyncio.wait_for(main(), timeout=10)) == [[10 * i] for i in range(8)]
    assert [len(batch) for batch in run.batches] == [4, 4]


def test_nothing_submitted_is_answered_at_once():
    assert asyncio.run(batcher_of(Recorder(), window_s=30).submit([])) == []


@pytest.mark.parametrize(
    ("run", "message"), [(lambda items: 1 / 0, "division"), (lambda items: [], "2 items gave 0 results")]
)
def test_a_failure_reaches_every_submitter(run, message):
    async def main():
        batcher = batcher_of(run)
        return await asyncio.gather(batcher.submit([1]), batcher.submit([2]), return_exceptions=True)

    assert all(message in str(result) for result in asyncio.run(main()))


def test_a_failure_does_not_outlive_its_batch():
    run = Recorder(lambda items: [1 / item for item in items])

    async def main():
        batcher = batcher_of(run)
        with pytest.raises(ZeroDivisionError):
            await batcher.submit([0])
        return await batcher.submit([2])

    assert asyncio.run(main()) == [0.5]


def test_a_cancelled_submitter_is_left_out_and_the_others_are_served():
    run = Recorder()

    async def main():
        batcher = batcher_of(run)
        first, second = (asyncio.ensure_future(batcher.submit([i])) for i in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(main()) == [20]
    assert run.batches == [[2]]


def test_the_event_loop_runs_on_while_a_batch_does():
    async def main():
        work = asyncio.ensure_future(batcher_of(lambda items: time.sleep(0.3) or items, window_s=0).submit([1]))
        ticks = 0
        while not work.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(main()) >= 5


def test_drain_does_not_wait_for_the_window():
    async def main():
        batcher = batcher_of(Recorder(), window_s=30)
        waiting = asyncio.ensure_future(batcher.submit([1]))
        await asyncio.sleep(0)
        await batcher.drain()
        return await waiting

    assert asyncio.run(asyncio.wait_for(main(), timeout=10)) == [10]


def test_a_shut_down_executor_is_a_failure_not_a_hang():
    async def main():
        executor = ThreadPoolExecutor(max_workers=1)
        executor.shutdown()
        await MicroBatcher(Recorder(), executor, 0.0, 10).submit([1])

    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(asyncio.wait_for(main(), timeout=10))


def test_values_are_made_once_per_loop_and_key_and_dead_loops_are_forgotten():
    cache = PerLoop()

    async def main():
        first, again, other = cache.get("a", object), cache.get("a", object), cache.get("b", object)
        assert first is again and first is not other
        assert cache.of_running_loop() == [first, other]
        return first

    values = [asyncio.run(main()) for _ in range(5)]
    assert len({id(value) for value in values}) == 5
    assert len(cache._values) == 1
