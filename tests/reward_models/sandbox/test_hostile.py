"""Attacks on the sandbox's own machinery: none reaches another process, and none is there for the next task."""

import errno
import json
import logging
import os
import select
import socket
import subprocess
import sys

import pytest

from reward_models.sandbox import Sandbox, SandboxConfig, TaskStatus, process
from reward_models.sandbox.folders import remove_folder
from reward_models.sandbox.lockdown import landlock_version
from reward_models.sandbox.replies import are_results, are_turns, read_reply
from reward_models.sandbox.seccomp import _ASKED, supported

pytestmark = pytest.mark.skipif(
    not (supported() and landlock_version()), reason="needs Linux with Landlock, on x86_64 or aarch64"
)

JOBS = "tests.reward_models.sandbox.hostile"


@pytest.fixture(scope="module")
def sandbox():
    config = SandboxConfig(workers=1, timeout_seconds=2, cpu_seconds=2, memory_mb=64, response_mb=1)
    with Sandbox(config, preload=[JOBS]) as sandbox:
        yield sandbox


def run(sandbox, job, payload=None):
    return sandbox.submit(f"{JOBS}:{job}", payload).result(timeout=60)


def value(sandbox, job, payload=None):
    result = run(sandbox, job, payload)
    assert result.status is TaskStatus.OK, result
    return result.value


def scratch_folders(sandbox):
    return [os.listdir(worker._scratch) for worker in sandbox._workers if worker._scratch]


# System calls


def test_no_signal_can_be_asked_for(sandbox):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert value(sandbox, "ask_for_signals", other.pid) == [True] * 7
        other.communicate(b"\n")
    assert other.returncode == 0


def test_memory_outside_of_the_address_space_is_refused(sandbox):
    assert set(value(sandbox, "take_uncounted_memory", 1)) <= {errno.EPERM, errno.ENOSYS}


def test_limits_can_be_read_and_not_changed(sandbox):
    assert value(sandbox, "kill_by_rlimit") == [True] * 4


def test_the_signal_at_the_parents_death_stays(sandbox):
    assert value(sandbox, "outlive_the_parent") == [errno.EPERM, errno.EPERM]


def test_no_datagram_leaves(sandbox, tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        assert value(sandbox, "send_to_an_address", path) == "streams stay"
        assert select.select([server], [], [], 0)[0] == []


def test_a_folder_that_is_open_for_reading_stays_as_it_is(sandbox, tmp_path):
    assert value(sandbox, "change_what_is_open_for_reading", str(tmp_path)) == [True] * 4
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_calls_that_depend_on_arguments_are_the_kernels():
    header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
    if not os.path.exists(header):
        pytest.skip("no kernel headers")
    with open(header) as file:
        known = dict(line.split()[1:3] for line in file if line.startswith("#define __NR_"))
    for name, (number, _) in _ASKED.items():
        assert known.get(f"__NR_{name}", str(number)) == str(number), name


# What is left in the folder


@pytest.mark.parametrize(("job", "size"), [("leave_a_deep_tree", 1000), ("leave_closed_folders", 20)])
def test_no_tree_of_folders_outlives_its_task(sandbox, job, size):
    for _ in range(2):
        folder = value(sandbox, job, size)
        assert not os.path.exists(folder)
        assert scratch_folders(sandbox) == [[]]
        assert value(sandbox, "echo", 1) == 1


def test_a_folder_that_cannot_be_removed_costs_its_worker_and_nothing_else(monkeypatch, caplog):
    with Sandbox(SandboxConfig(workers=1), preload=[JOBS]) as sandbox:
        assert value(sandbox, "echo", 1) == 1
        monkeypatch.setattr(process, "remove_folder", lambda folder: False)
        (worker,) = sandbox._workers
        with caplog.at_level(logging.WARNING):
            worker.kill()
        assert "could not remove its folder" in caplog.text
        assert value(sandbox, "echo", 2) == 2


def test_a_folder_is_removed_without_following_links(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "deep" / "er").mkdir(parents=True)
    (inside / "deep" / "link").symlink_to(outside)
    (inside / "deep" / "er" / "file").touch()
    (inside / "deep").chmod(0)
    assert remove_folder(str(inside)) and not inside.exists()
    assert (outside / "kept").read_text() == "kept"
    assert remove_folder(str(inside))
    assert not remove_folder(str(outside / "kept"))


# Replies


@pytest.mark.parametrize(
    "reply",
    [
        '{"status": "unavailable", "detail": "x"}',
        '{"status": "killed", "detail": "x"}',
        '{"status": "ready", "detail": "x"}',
        '{"status": "ok", "value": 1, "detail": "x"}',
        '{"status": "ok"}',
        '{"status": ["ok"], "value": 1}',
        '{"status": "job_raised", "detail": 3}',
        '{"status": "no_such", "detail": ""}',
        "[]",
        "not JSON",
        "[" * 100_000,
        "9" * 5000,
        "",
    ],
)
def test_a_reply_that_no_task_gives_is_a_crash_and_the_worker_stays(sandbox, reply):
    value(sandbox, "echo")
    (before,) = (worker._process.pid for worker in sandbox._workers)
    assert run(sandbox, "write_as_the_worker", reply).status is TaskStatus.CRASHED
    assert value(sandbox, "echo", 1) == 1
    assert [worker._process.pid for worker in sandbox._workers] == [before]


def test_a_tasks_reply_is_read():
    assert read_reply(b'{"status": "ok", "value": [1]}').value == [1]
    assert read_reply(b'{"status": "memory_limit", "detail": ""}').status is TaskStatus.MEMORY


RESULT = ["returned", ["list", 1, ["dict", ["a", 1.5]]]]


@pytest.mark.parametrize(
    ("replied", "fits"),
    [
        ([RESULT, ["raised", "KeyError", "no"]], True),
        ([RESULT], False),
        ([RESULT, ["raised", "KeyError"]], False),
        ([RESULT, ["returned"]], False),
        ([RESULT, "returned"], False),
        ([RESULT, []], False),
        ([RESULT, ["returned", {"a": 1}]], False),
        ([RESULT, ["returned", ["list", {"a": 1}]]], False),
        ([RESULT, ["returned", json.loads("[" * 500 + "]" * 500)]], False),
        ({"0": RESULT}, False),
        (None, False),
    ],
)
def test_results_have_a_form(replied, fits):
    assert are_results(replied, 2) is fits
    turn = {"results": replied, "state": {"A": ["dict"]}}
    assert are_turns([turn], [2], ["A"]) is fits


@pytest.mark.parametrize(
    "turns",
    [
        [],
        None,
        [{"results": [RESULT], "state": {}}],
        [{"results": [RESULT], "state": {"B": 1}}],
        [{"results": [RESULT], "state": {"A": {}}}],
        [{"results": [RESULT]}],
        [["results", "state"]],
    ],
)
def test_turns_have_a_form(turns):
    assert not are_turns(turns, [1], ["A"])
