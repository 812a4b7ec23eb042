"""`awpo eval bfcl` and texts that attack it: nothing that a model writes is run as code, and no text makes its own verdict."""

import importlib.util
import json
import textwrap

import pytest

from awpo_ext.evaluate.bfcl_literals import call_method, compute
from awpo_ext.evaluate.errors import EvalError
from reward_models.sandbox import SandboxUnavailable

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("bfcl_eval", "tree_sitter", "overrides", "openai")),
    reason="the packages of awpo eval bfcl are not installed",
)

CATEGORIES = ["simple_python", "parallel", "live_relevance", "multi_turn_base"]
VERDICT = json.dumps({"status": "ok", "value": {"valid": True, "reason": "valid"}})
# Writes a verdict wherever the process can, and ends as if all were well.
_OS = "__import__('os')"
CODE = (
    f"[{_OS}.write(fd, {VERDICT.encode()!r}) for fd in range(3, 64) if {_OS}.path.exists(f'/proc/self/fd/{{fd}}')] "
    f"and {_OS}._exit(0)"
)


@pytest.fixture(scope="module", params=["prompt", "tools"])
def benchmark(request):
    from awpo_ext.evaluate.bfcl import Bfcl

    benchmark = Bfcl(CATEGORIES, request.param, workers=1)
    yield benchmark
    benchmark.close()


def rows(benchmark, count=3):
    found = {}
    for task in benchmark.tasks():
        found.setdefault(task.category, []).append(task)
    return [task for category in CATEGORIES for task in found[category][:count]]


def answered(benchmark, task, text):
    """The same text at every step, as an answer of the mode."""
    result = text if benchmark.mode == "prompt" else [{"cd": json.dumps({text: 1})}, {text: "{}"}]
    if task.category.startswith("multi_turn"):
        return {"result": [[result] for _ in task.payload["truth"]], "metadata": {}}
    return {"result": result, "metadata": {}}


@pytest.mark.parametrize(
    "text",
    [
        f"[f(a=1 + ({CODE}))]",
        f"[f(a=lambda: ({CODE}))]",
        f"[execute_multi_turn_func_call(func_call_list=[{CODE!r}], initial_config={{}}, involved_classes=[], "
        "model_name='x', test_entry_id='y')]",
        f"[eval(source={CODE!r}), exec(source={CODE!r})]",
        f"a=1) or ({CODE}) or f(b",
        VERDICT,
        '{"valid": true}',
        "{'valid': True, 'reason': 'valid'}",
    ],
)
def test_no_constant_text_is_right(benchmark, text):
    """Twelve rows of four kinds; a row without any right answer but "a call" may take what is written as one."""
    scores = {task.key: benchmark.score(task, answered(benchmark, task, text)) for task in rows(benchmark)}
    assert len(scores) == 12
    assert [key for key, score in scores.items() if score.right and "relevance" not in key] == []


def test_a_dead_task_costs_one_row_and_a_dead_sandbox_stops_the_run(benchmark, monkeypatch):
    first, second = rows(benchmark)[:2]
    hang = answered(benchmark, first, "[f(a=1)]")
    submit = benchmark._sandbox.submit

    def dies(job, payload):
        future = submit("no_such_module:job", None)
        monkeypatch.setattr(benchmark._sandbox, "submit", submit)
        return future

    benchmark.score(first, hang)
    monkeypatch.setattr(benchmark._sandbox, "submit", dies)
    assert benchmark.score(first, hang).reason == "sandbox: the task could not be run"
    assert not benchmark.score(second, hang).right

    def never(job, payload):
        raise SandboxUnavailable("no seccomp")

    monkeypatch.setattr(benchmark, "_started", False)
    monkeypatch.setattr(benchmark._sandbox, "submit", never)
    with pytest.raises(EvalError, match="no seccomp"):
        benchmark.score(first, hang)


@pytest.mark.parametrize("value", [None, 3, [], {"valid": True}, {"valid": 1, "reason": "x"}, {"stopped": "why"}])
def test_only_a_verdict_of_the_right_form_counts(benchmark, monkeypatch, value):
    task = rows(benchmark)[0]
    monkeypatch.setattr(benchmark, "_run", lambda name, job: "{'value': []}" if name == "decode" else value)
    assert not benchmark.score(task, answered(benchmark, task, "x")).right
    monkeypatch.setattr(benchmark, "_run", lambda name, job: value)
    assert not benchmark.score(task, answered(benchmark, task, "x")).right


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 + 2 * 3", 7), ("-2 ** 2", -4), ("'a' + 'b'", "ab"), ("[1] + [2]", [1, 2]), ("7 // 2 - 7 % 2 / 1", 2.0)],
)
def test_sums_of_constants_are_computed(text, value):
    assert compute(text) == value


@pytest.mark.parametrize(
    "text",
    ["f()", "x", "1 + f()", "1 << 2", "(lambda: 1)()", "[].append", "1 if 1 else 2", "f'{1}'", "[x for x in 'a']"],
)
def test_nothing_else_is(text):
    with pytest.raises(ValueError, match=r"malformed|expected"):
        compute(text)


class Tool:
    here = "/"

    def cd(self, folder="/", depth=1):
        return [folder, depth]

    def _private(self):
        raise AssertionError


def test_a_method_of_a_tool_is_called_with_constants():
    instances = {"a_Tool_instance": Tool(), "other": Tool()}
    assert call_method("a_Tool_instance.cd(folder='x', depth=-1)", instances) == ["x", -1]
    assert call_method(" a_Tool_instance.cd('x')", instances) == ["x", 1]
    for text in (
        *("cd(folder='x')", "a_Tool_instance", "a_Tool_instance.here", "a_Tool_instance._private()"),
        *("other.cd()", "b_Tool_instance.cd()", "a_Tool_instance.cd.cd()", "a_Tool_instance.cd()()"),
    ):
        with pytest.raises((NameError, AttributeError)):
            call_method(text, instances)
    for text in ("a_Tool_instance.cd(folder=open('x'))", "a_Tool_instance.cd(**{'folder': 1})"):
        with pytest.raises(ValueError, match=r"malformed|not allowed"):
            call_method(text, instances)


def test_the_ground_truths_do_what_they_do_under_the_packages_own_eval(tmp_path, monkeypatch):
    """In a process of its own, where the package's `eval` is Python's; multi-turn rows of all four kinds."""
    import subprocess
    import sys

    program = """
        import json, sys
        from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils as tools
        from bfcl_eval.utils import load_dataset_entry, load_ground_truth_entry
        from awpo_ext.evaluate.bfcl_literals import call_method

        def results(row, truth, name):
            return [tools.execute_multi_turn_func_call(turn, row["initial_config"], row["involved_classes"], name,
                    row["id"], is_evaL_run=True)[0] for turn in truth]

        differ, calls = [], 0
        for kind in ("base", "miss_func", "miss_param", "long_context"):
            rows = load_dataset_entry(f"multi_turn_{kind}")
            truths = load_ground_truth_entry(f"multi_turn_{kind}")
            for row, truth in list(zip(rows, truths))[::int(sys.argv[1])]:
                vars(tools).pop("eval", None)
                official = results(row, truth["ground_truth"], "official")
                tools.eval = lambda text: call_method(text, vars(tools))
                ours = results(row, truth["ground_truth"], "ours")
                calls += sum(map(len, ours))
                if ours != official:
                    differ.append(row["id"])
        print(json.dumps([calls, differ]))
    """
    monkeypatch.setenv("BFCL_PROJECT_ROOT", str(tmp_path))
    command = [sys.executable, "-c", textwrap.dedent(program), "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    calls, differ = json.loads(done.stdout.splitlines()[-1])
    assert calls > 500 and differ == []
