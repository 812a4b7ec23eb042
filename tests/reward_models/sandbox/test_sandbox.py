"""The sandbox: its limits hold against each exploit, in Python and past Python; its processes come and go cleanly."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from reward_models.sandbox import Sandbox, SandboxConfig, TaskStatus
from reward_models.sandbox.lockdown import _audit_hook, landlock_version
from reward_models.sandbox.seccomp import supported

pytestmark = pytest.mark.skipif(not supported(), reason="the sandbox needs Linux on x86_64 or aarch64")

TOOLS = "tests.reward_models.sandbox.tools"
needs_landlock = pytest.mark.skipif(not (supported() and landlock_version()), reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def sandbox():
    config = SandboxConfig(workers=1, timeout_seconds=20, cpu_seconds=2, memory_mb=128, file_mb=2, response_mb=1)
    with Sandbox(config, preload=[TOOLS, "reward_models.sandbox.jobs"]) as sandbox:
        yield sandbox


def run(sandbox, job, payload=None):
    return sandbox.submit(f"{TOOLS}:{job}", payload).result(timeout=60)


def value(sandbox, job, payload=None):
    result = run(sandbox, job, payload)
    assert result.status is TaskStatus.OK, result
    return result.value


def worker_pids(sandbox):
    return [worker._process.pid for worker in sandbox._workers if worker._process is not None]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def wait_until_gone(pids):
    end = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, pids))


@pytest.mark.parametrize("payload", [None, 3, {"a": [1.5, "ü\x00\ud800", True]}, [float("inf")], "x" * 200_000])
def test_json_goes_in_and_comes_out(sandbox, payload):
    assert value(sandbox, "echo", payload) == payload


def test_nan_comes_out(sandbox):
    assert value(sandbox, "echo", float("nan")) != value(sandbox, "echo", float("nan"))


def test_a_job_that_raises_is_a_result_with_a_reason(sandbox):
    result = run(sandbox, "job_raises", "such")
    assert (result.status, result.detail) == (TaskStatus.RAISED, "LookupError: 'no such'".replace("'", ""))


# Exploits


def test_code_that_never_ends_is_stopped_by_the_cpu_limit(sandbox):
    assert run(sandbox, "never_ends").status is TaskStatus.CPU


def test_code_that_ignores_signals_is_stopped_by_the_cpu_limit(sandbox):
    assert run(sandbox, "ignores_signals_and_never_ends").status is TaskStatus.CPU


def test_code_that_sleeps_forever_is_killed_and_the_next_task_runs():
    with Sandbox(SandboxConfig(workers=1, timeout_seconds=0.5), preload=[TOOLS]) as sandbox:
        assert value(sandbox, "echo", 1) == 1
        (worker,) = worker_pids(sandbox)
        start = time.monotonic()
        assert run(sandbox, "sleep", 600).status is TaskStatus.TIMEOUT
        assert time.monotonic() - start < 10
        assert children(worker) == [] and worker_pids(sandbox) == [worker]
        assert value(sandbox, "echo", 2) == 2


def test_fork_bomb_makes_no_process(sandbox):
    result = run(sandbox, "fork_bomb")
    assert result.status is TaskStatus.RAISED
    assert "PermissionError" in result.detail


def test_native_code_makes_no_process_either(sandbox):
    assert value(sandbox, "native_processes")[:2] == [errno.EPERM, errno.EPERM]
    assert all(error == errno.EPERM for error in value(sandbox, "native_processes"))


def test_threads_are_bounded_by_memory(sandbox):
    result = run(sandbox, "thread_bomb")
    assert result.status in (TaskStatus.RAISED, TaskStatus.MEMORY)
    assert value(sandbox, "echo", 1) == 1


def test_environment_of_an_executed_tool_is_empty(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Sandbox(SandboxConfig(workers=1), preload=[TOOLS]) as sandbox:
        seen = value(sandbox, "environment")
    assert seen["os"] == {}
    assert "secret" not in seen["proc"]


def test_environment_holds_what_is_passed():
    with Sandbox(SandboxConfig(workers=1, environment={"TZ": "UTC"}), preload=[TOOLS]) as sandbox:
        assert value(sandbox, "environment")["os"] == {"TZ": "UTC"}


@needs_landlock
def test_environment_of_another_process_cannot_be_read(sandbox):
    secret = {**os.environ, "HF_TOKEN": "hf_secret"}
    # The file of a process is its environment at its start, hence one that is started with the secret.
    with subprocess.Popen([sys.executable, "-c", "input()"], env=secret, stdin=subprocess.PIPE) as other:
        seen = value(sandbox, "parents_environment")
        other.communicate(b"\n")
    assert seen == ""


def outside_folder(tmp_path):
    (tmp_path / "old").write_text("kept")
    return str(tmp_path)


def test_writing_outside_the_scratch_folder_is_refused(sandbox, tmp_path):
    assert set(value(sandbox, "write_outside", outside_folder(tmp_path))) == {"PermissionError"}
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old", "kept")]


@needs_landlock
def test_native_code_does_not_write_outside_either(sandbox, tmp_path):
    errors = value(sandbox, "write_outside_natively", outside_folder(tmp_path))
    assert all(error in (errno.EPERM, errno.EACCES, errno.EXDEV) for error in errors), errors
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old", "kept")]


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("open", ("/tmp/x", "w", os.O_WRONLY)),
        ("open", (b"/tmp/x", None, os.O_RDWR | os.O_CREAT)),
        ("open", ("{scratch}/../x", "a", os.O_WRONLY | os.O_APPEND)),
        ("open", ("{scratch}", "w", os.O_WRONLY)),
        ("open", ("{scratch}x/y", "w", os.O_WRONLY)),
        ("open", ("/proc/1/environ", "r", os.O_RDONLY)),
        ("os.rename", ("{scratch}/a", "/tmp/x", -1, -1)),
        ("os.remove", ("/tmp/x", -1)),
        ("socket.connect", (None, ("127.0.0.1", 80))),
        ("subprocess.Popen", ("ls", [], None, None)),
    ],
)
def test_the_audit_hook_refuses_without_the_kernels_help(event, arguments, tmp_path):
    def placed(argument):
        return argument.replace("{scratch}", str(tmp_path)) if isinstance(argument, str) else argument

    with pytest.raises(PermissionError):
        _audit_hook(str(tmp_path))(event, tuple(map(placed, arguments)))


def test_the_audit_hook_lets_through_what_is_allowed(tmp_path):
    hook = _audit_hook(str(tmp_path))
    hook("open", (str(tmp_path / "x"), "w", os.O_WRONLY | os.O_CREAT))
    hook("open", ("/etc/hostname", "r", os.O_RDONLY))
    hook("open", ("/proc/self/status", "r", os.O_RDONLY))
    hook("os.rename", (str(tmp_path / "a"), str(tmp_path / "b"), -1, -1))


def test_the_scratch_folder_is_writable_and_removed(sandbox):
    seen = value(sandbox, "write_inside", "text")
    assert (seen["text"], seen["files"]) == ("text", ["folder", "moved"])
    assert not os.path.exists(seen["folder"])


def test_a_file_has_a_largest_size(sandbox):
    assert run(sandbox, "write_large_file").status in (TaskStatus.CRASHED, TaskStatus.RAISED)


def test_opening_a_socket_is_refused(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        errors = value(sandbox, "open_socket", server.getsockname()[1])
    assert errors == ["PermissionError", "PermissionError", errno.EPERM]


def test_asyncio_and_threads_work_inside(sandbox):
    assert value(sandbox, "run_asyncio", 21) == 42
    assert value(sandbox, "count_threads", "one") == ["one"]


@pytest.mark.parametrize("job", ["huge_memory", "growing_memory"])
def test_allocating_huge_memory_ends_the_task(sandbox, job):
    assert run(sandbox, job).status is TaskStatus.MEMORY
    assert value(sandbox, "echo", 1) == 1


def test_a_huge_result_is_cut_off(sandbox):
    assert value(sandbox, "huge_result", 1000) == "x" * 1000
    assert run(sandbox, "huge_result", 2 << 20).status is TaskStatus.OUTPUT


def test_printing_gigabytes_goes_nowhere(sandbox):
    assert run(sandbox, "print_gigabytes").status in (TaskStatus.OK, TaskStatus.CPU)
    assert value(sandbox, "echo", 1) == 1


def test_killing_its_parent_is_refused(sandbox):
    value(sandbox, "echo")
    before = worker_pids(sandbox)
    assert value(sandbox, "kill_parent") == ["PermissionError"] * 2 + [errno.EPERM] * 3
    assert worker_pids(sandbox) == before


def test_limits_cannot_be_raised_again(sandbox):
    assert set(value(sandbox, "raise_own_limits")) <= {"ValueError", "PermissionError"}


@pytest.mark.parametrize(("status", "detail"), [(0, "exit status 0"), (3, "exit status 3")])
def test_os_exit_is_a_crash_and_the_worker_stays(sandbox, status, detail):
    value(sandbox, "echo")
    before = worker_pids(sandbox)
    result = run(sandbox, "exit_now", status)
    assert (result.status, result.detail) == (TaskStatus.CRASHED, detail)
    assert worker_pids(sandbox) == before


@pytest.mark.parametrize(("job", "number"), [("segfault", signal.SIGSEGV), ("kill_itself", signal.SIGABRT)])
def test_a_native_crash_is_a_crash(sandbox, job, number):
    result = run(sandbox, job)
    assert (result.status, result.detail) == (TaskStatus.CRASHED, f"signal {int(number)}")


def test_monkey_patching_does_not_reach_the_next_task(sandbox):
    run(sandbox, "monkey_patch")
    assert value(sandbox, "patched_state") == {"counter": 0, "left": None, "files": []}
