"""A task's own time on a busy machine, and what a kernel without Landlock leaves."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from reward_models.sandbox import Sandbox, SandboxConfig, SandboxUnavailable, TaskStatus, pool, process
from reward_models.sandbox.clock import PATIENCE, TaskClock, waited_for_a_core
from reward_models.sandbox.lockdown import _audit_hook, landlock_version
from reward_models.sandbox.seccomp import supported
from reward_models.sandbox.worker import STARVED, _read
from tests.reward_models.sandbox.test_hostile import JOBS, run, value

pytestmark = pytest.mark.skipif(
    not (supported() and landlock_version()), reason="needs Linux with Landlock, on x86_64 or aarch64"
)


@pytest.fixture(scope="module")
def sandbox():
    config = SandboxConfig(workers=1, timeout_seconds=2, cpu_seconds=2, memory_mb=64, response_mb=1)
    with Sandbox(config, preload=[JOBS]) as sandbox:
        yield sandbox


def test_a_task_that_closes_its_pipe_and_stays_is_ended(sandbox):
    start = time.monotonic()
    assert run(sandbox, "close_everything_and_stay", 600).status is TaskStatus.CRASHED
    assert time.monotonic() - start < 10
    assert value(sandbox, "echo", 1) == 1


def test_a_task_that_writes_for_ever_is_ended(sandbox):
    start = time.monotonic()
    assert run(sandbox, "write_too_slowly", 600).status in (TaskStatus.TIMEOUT, TaskStatus.CPU)
    assert time.monotonic() - start < 2 * PATIENCE + 20


@contextlib.contextmanager
def one_core():
    """Whatever is started meanwhile has one core for all."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_honest_work_on_a_busy_machine_is_no_timeout(caplog):
    """Eight tasks of 0.3 s of CPU share one core: each takes some 2.4 s, and is allowed 1 s."""
    pool._warn.cache_clear()
    config = SandboxConfig(workers=8, timeout_seconds=1.0)
    with one_core(), caplog.at_level(logging.WARNING), Sandbox(config, preload=[JOBS]) as sandbox:

        async def all_at_once():
            await asyncio.gather(*(sandbox.run(f"{JOBS}:echo", 1) for _ in range(8)))
            start = time.monotonic()
            results = await asyncio.gather(*(sandbox.run(f"{JOBS}:work", 0.3) for _ in range(8)))
            return results, time.monotonic() - start

        results, took = asyncio.run(all_at_once())
    assert took > 2.0
    assert [result.status for result in results] == [TaskStatus.OK] * 8
    assert "8 workers on 1 cores" in caplog.text


def test_sleep_is_a_tasks_own_time():
    with Sandbox(SandboxConfig(workers=1, timeout_seconds=0.3), preload=["time"]) as sandbox:
        result = sandbox.submit("time:sleep", 60).result(timeout=20)
    assert result.status is TaskStatus.TIMEOUT and "0.0 s of CPU" in result.detail


class Busy(TaskClock):
    """On a machine that never gives the task a core."""

    def left(self):
        return self.limit


def test_a_task_that_never_gets_a_core_is_not_judged():
    read_end, write_end = os.pipe()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert _read(read_end, ours, Busy(os.getpid(), 0.02), 1000) == STARVED
    os.close(read_end)
    os.close(write_end)


def test_waiting_for_a_core_is_seen():
    with one_core():
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
        time.sleep(1.0)
        waits = [waited_for_a_core(program.pid) for program in busy]
    for program in busy:
        program.send_signal(signal.SIGKILL)
        program.wait()
    assert 0.5 < max(waits) < 1.5
    assert waited_for_a_core(busy[0].pid) == 0.0


# Without Landlock


@pytest.fixture
def without_landlock(monkeypatch):
    monkeypatch.setattr(process, "landlock_version", lambda: 0)
    monkeypatch.setattr(pool, "landlock_version", lambda: 0)
    pool._warn.cache_clear()


def test_without_landlock_nothing_runs_unless_asked_to(without_landlock):
    with (
        Sandbox(SandboxConfig(workers=1), preload=[JOBS]) as sandbox,
        pytest.raises(SandboxUnavailable, match="require_landlock=false"),
    ):
        run(sandbox, "echo", 1)


def test_without_landlock_it_says_so(without_landlock, caplog):
    with (
        caplog.at_level(logging.WARNING),
        Sandbox(SandboxConfig(workers=1, require_landlock=False), preload=[JOBS]) as sandbox,
    ):
        assert value(sandbox, "echo", 1) == 1
    assert "write and delete files outside of the sandbox" in " ".join(caplog.text.split())


def test_the_audit_hook_knows_what_a_path_is_relative_to(tmp_path):
    (tmp_path / "in").mkdir()
    hook = _audit_hook(str(tmp_path / "in"))
    outside, inside = (os.open(folder, os.O_RDONLY) for folder in (tmp_path, tmp_path / "in"))
    hook("os.remove", ("x", inside))
    hook("os.rename", ("x", "y", inside, inside))
    for event, arguments in [
        ("os.remove", ("x", outside)),
        ("os.rmdir", ("x", outside)),
        ("os.mkdir", ("x", 0o777, outside)),
        ("os.rename", ("x", "y", inside, outside)),
        ("os.rename", ("x", "y", outside, inside)),
        ("os.symlink", ("x", "y", outside)),
    ]:
        with pytest.raises(PermissionError):
            hook(event, arguments)
    os.close(outside)
    os.close(inside)
