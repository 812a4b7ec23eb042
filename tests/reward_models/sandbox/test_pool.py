"""The pool of workers: tasks come back in place, processes come and go cleanly, bad settings are named."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest

from reward_models.sandbox import Sandbox, SandboxConfig, SandboxUnavailable, TaskStatus
from reward_models.sandbox.seccomp import _REFUSED, supported
from tests.reward_models.sandbox.test_sandbox import TOOLS, children, run, value, wait_until_gone, worker_pids

pytestmark = pytest.mark.skipif(not supported(), reason="the sandbox needs Linux on x86_64 or aarch64")


@pytest.fixture(scope="module")
def sandbox():
    config = SandboxConfig(workers=1, timeout_seconds=20, cpu_seconds=2, memory_mb=128, file_mb=2, response_mb=1)
    with Sandbox(config, preload=[TOOLS, "reward_models.sandbox.jobs"]) as sandbox:
        yield sandbox


def test_the_event_loop_stays_free(sandbox):
    async def main():
        task = asyncio.ensure_future(sandbox.run(f"{TOOLS}:sleep", 0.8))
        longest, last = 0.0, time.monotonic()
        while not task.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return longest, await task

    value(sandbox, "echo")
    longest, result = asyncio.run(main())
    assert result.status is TaskStatus.OK
    assert longest < 0.4


def test_one_sandbox_serves_several_event_loops(sandbox):
    for number in range(3):
        assert asyncio.run(sandbox.run(f"{TOOLS}:echo", number)).value == number


def test_many_tasks_at_once_come_back_in_place():
    async def main(sandbox):
        results = await asyncio.gather(*(sandbox.run(f"{TOOLS}:echo", number) for number in range(100)))
        return [result.value for result in results]

    with Sandbox(SandboxConfig(workers=3), preload=[TOOLS]) as sandbox:
        assert asyncio.run(main(sandbox)) == list(range(100))


def test_a_worker_killed_from_outside_is_replaced_and_the_task_run_again():
    with Sandbox(SandboxConfig(workers=1), preload=[TOOLS]) as sandbox:
        value(sandbox, "echo")
        os.kill(worker_pids(sandbox)[0], signal.SIGKILL)
        assert value(sandbox, "echo", 1) == 1


def test_killed_from_outside_twice_is_no_answer():
    with Sandbox(SandboxConfig(workers=1), preload=[TOOLS]) as sandbox:
        value(sandbox, "echo")
        future = sandbox.submit(f"{TOOLS}:sleep", 600)
        killed = set()
        while not future.done():
            for pid in set(worker_pids(sandbox)) - killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.01)
        with pytest.raises(SandboxUnavailable):
            future.result()
        assert value(sandbox, "echo", 1) == 1


def test_a_task_killed_from_outside_twice_is_no_answer():
    with Sandbox(SandboxConfig(workers=1), preload=[TOOLS]) as sandbox:
        value(sandbox, "echo")
        worker = worker_pids(sandbox)[0]
        future = sandbox.submit(f"{TOOLS}:sleep", 600)
        killed = set()
        while not future.done():
            for pid in set(children(worker)) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.01)
        with pytest.raises(SandboxUnavailable, match="killed from outside"):
            future.result()
        assert len(killed) == 2
        assert worker_pids(sandbox) == [worker]


def test_a_module_that_cannot_be_imported_says_so():
    with (
        Sandbox(SandboxConfig(workers=1), preload=["no_such_module"]) as sandbox,
        pytest.raises(SandboxUnavailable, match="no_such_module"),
    ):
        run(sandbox, "echo")


def test_an_interpreter_that_does_not_start_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with Sandbox(SandboxConfig(workers=1)) as sandbox, pytest.raises(SandboxUnavailable, match="/no/such/python"):
        run(sandbox, "echo")
    assert list(tmp_path.iterdir()) == []


def test_the_queue_is_bounded():
    sandbox = Sandbox(SandboxConfig(workers=1, max_waiting=2), preload=[TOOLS])
    with sandbox, pytest.raises(SandboxUnavailable, match="max_waiting=2"):
        for _ in range(4):
            sandbox.submit(f"{TOOLS}:sleep", 600)


def test_a_payload_too_large_is_the_callers_mistake(sandbox):
    with pytest.raises(ValueError, match="request_mb=4"):
        sandbox.submit(f"{TOOLS}:echo", "x" * (5 << 20))


def test_close_ends_what_runs_and_what_waits():
    sandbox = Sandbox(SandboxConfig(workers=1, timeout_seconds=600), preload=[TOOLS])
    value(sandbox, "echo")
    pids = worker_pids(sandbox)
    futures = [sandbox.submit(f"{TOOLS}:sleep", 600) for _ in range(3)]
    sandbox.close()
    for future in futures:
        with pytest.raises(SandboxUnavailable):
            future.result(timeout=10)
    with pytest.raises(SandboxUnavailable, match="closed"):
        sandbox.submit(f"{TOOLS}:echo", 1)
    assert wait_until_gone(pids)
    sandbox.close()


def test_a_sandbox_that_nobody_holds_ends_its_processes():
    sandbox = Sandbox(SandboxConfig(workers=1), preload=[TOOLS])
    value(sandbox, "echo")
    pids = worker_pids(sandbox)
    del sandbox
    assert wait_until_gone(pids)


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 9)", "os._exit(0)"], ids=["exit", "sigkill", "os_exit"])
def test_no_process_outlives_the_program(ending, tmp_path):
    program = f"""
        import os, time
        from reward_models.sandbox import Sandbox, SandboxConfig
        sandbox = Sandbox(SandboxConfig(workers=2), preload=["time"])
        first = [sandbox.submit("time:sleep", 0.3) for _ in range(2)]
        [future.result() for future in first]
        sandbox.submit("time:sleep", 600)
        time.sleep(0.3)
        print(*[worker._process.pid for worker in sandbox._workers if worker._process], flush=True)
        {ending}
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids, done.stderr
    assert wait_until_gone(pids)
    if not ending:
        assert list(tmp_path.iterdir()) == []


def test_a_sandbox_is_refused_after_a_fork(sandbox):
    value(sandbox, "echo")
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            sandbox.submit(f"{TOOLS}:echo", 1)
        except SandboxUnavailable:
            os.write(write_end, b"refused")
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        assert file.read() == b"refused"
    os.waitpid(pid, 0)
    assert value(sandbox, "echo", 1) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers=0"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds=nan"),
        ({"memory_mb": 1.5}, "memory_mb=1.5"),
        ({"environment": {"A": 1}}, "environment="),
    ],
)
def test_bad_limits_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SandboxConfig(**options)


def test_system_call_numbers_are_the_kernels():
    header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
    if not os.path.exists(header):
        pytest.skip("no kernel headers")
    with open(header) as file:
        known = dict(line.split()[1:3] for line in file if line.startswith("#define __NR_"))
    for name, (number, _) in _REFUSED.items():
        assert known.get(f"__NR_{name}", str(number)) == str(number), name
