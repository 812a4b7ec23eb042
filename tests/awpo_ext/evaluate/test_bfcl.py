"""`awpo eval bfcl` against an endpoint that knows the answers, one that errs, and the package's own runner."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from tests.awpo_ext.evaluate.fake_endpoint import MODEL, FakeEndpoint

pytestmark = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("bfcl_eval", "tree_sitter", "overrides", "tenacity", "openai")
    ),
    reason="the packages of awpo eval bfcl are not installed",
)


@pytest.fixture(scope="module")
def benchmark():
    from awpo_ext.evaluate.bfcl import Bfcl

    with_truth = Bfcl(["simple_python", "multiple", "irrelevance", "multi_turn_base"], "prompt", workers=1)
    yield with_truth
    with_truth.close()


def written(call):
    """A ground truth of BFCL, {name: {parameter: [accepted values]}}, as the Python call that it describes."""
    ((name, parameters),) = call.items()
    chosen = {key: values[0] for key, values in parameters.items() if values[0] != ""}
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in chosen.items())})"


def oracle(tasks):
    """Answers as the ground truth of the task whose question the request repeats."""
    by_question = {task.payload["asked"]["question"][0][-1]["content"]: task for task in tasks}

    def answer(body):
        users = [message["content"] for message in body["messages"] if message["role"] == "user"]
        task = by_question[users[0]]
        if not task.category.startswith("multi_turn"):
            return f"[{', '.join(map(written, task.payload['truth']))}]" if task.payload["truth"] else "I cannot."
        if users[-1].startswith("[{'role': 'tool'"):
            return "Done."  # no call: the package goes on to the next turn
        turn = sum(not text.startswith("[{'role': 'tool'") for text in users) - 1
        return f"[{', '.join(task.payload['truth'][turn])}]"

    return answer


def run(base_url, out, *arguments):
    command = ["eval", "bfcl", "--base-url", base_url, "--model", MODEL, "--out", str(out), *arguments]
    return CliRunner().invoke(app, command)


def result_of(out):
    return json.loads((out / "result.json").read_text())


def test_right_answers_are_right_for_us_and_for_the_packages_own_runner(benchmark, tmp_path):
    right_call = oracle(benchmark.tasks())
    # what comes before </think> is no part of an answer
    with FakeEndpoint(lambda body: "<think>[nonsense(</think>\n" + right_call(body)) as endpoint:
        done = run(
            endpoint.base_url,
            tmp_path,
            *("--categories", "simple_python,multiple,irrelevance,multi_turn_base", "--limit", "6"),
        )
    assert done.exit_code == 0, done.output
    rows = {row["category"]: row for row in result_of(tmp_path)["categories"]}
    # multi_turn_base_0 calls sort('final_report.pdf'): the package's decoder drops arguments without a name
    right = {"simple_python": 6, "multiple": 6, "irrelevance": 6, "multi_turn_base": 5}
    assert {name: rows[name]["accuracy"] for name in right} == {name: n / 6 for name, n in right.items()}
    assert {row["status"] for row in rows.values()} == {"PARTIAL"}
    assert official_scores(tmp_path / "bfcl", list(right)) == {name: [n / 6, 6] for name, n in right.items()}


def official_scores(root, categories):
    """(accuracy, count) by category, of the package's own `evaluate` on our files; its `model_config` is stubbed."""
    script = f"""
        import sys, types
        from types import SimpleNamespace as N
        stub = types.ModuleType("bfcl_eval.constants.model_config")
        stub.MODEL_CONFIG_MAPPING = {{}}
        sys.modules[stub.__name__] = stub
        from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler
        stub.MODEL_CONFIG_MAPPING["fake"] = N(
            model_handler=OpenAICompletionsHandler, model_name="fake", is_fc_model=False, underscore_to_dot=False,
            display_name="fake", url="", org="", license="", input_price=None, output_price=None)
        from bfcl_eval.eval_checker.eval_runner import main
        main(["fake"], {categories!r}, None, None, partial_eval=True)
    """
    environment = {**os.environ, "BFCL_PROJECT_ROOT": str(root), "OPENAI_API_KEY": "none"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    scores = {}
    for path in (root / "score").rglob("*_score.json"):
        header = json.loads(path.read_text().splitlines()[0])
        scores[path.name.removeprefix("BFCL_v4_").removesuffix("_score.json")] = [
            header["accuracy"],
            header["total_count"],
        ]
    return scores


def test_wrong_and_hostile_answers_are_wrong_and_touch_nothing(benchmark, tmp_path):
    canary = tmp_path / "canary"
    texts = iter(
        [
            f"[f(a=1 + int(__import__('os').system('touch {canary}') or 0))]",  # the package evals a sum
            "[",
            "[]",
            "[f(a=" + "(" * 5000,
            f"[{'-' * 3000}1]",
            "[f(a=9**9**9**9 + 1)]",
        ]
    )
    with FakeEndpoint(lambda body: next(texts)) as endpoint:
        done = run(
            endpoint.base_url, tmp_path / "out", "--categories", "simple_python", "--limit", "5", "--concurrency", "1"
        )
    assert done.exit_code == 0, done.output
    (row,) = result_of(tmp_path / "out")["categories"]
    assert row["accuracy"] == 0.0 and row["scored"] == 5
    assert not canary.exists()


def test_tools_mode_sends_tools_and_reads_calls(benchmark, tmp_path):
    right = {task.payload["asked"]["question"][0][-1]["content"]: task for task in benchmark.tasks()}

    def answer(body):
        truth = right.get(body["messages"][0]["content"])
        if truth is None:  # the check of the template
            return "Hello."
        ((name, parameters),) = truth.payload["truth"][0].items()
        values = {key: accepted[0] for key, accepted in parameters.items() if accepted[0] != ""}
        call = {"name": name.replace(".", "_"), "arguments": json.dumps(values)}
        return {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": call}]}

    with FakeEndpoint(answer, prompt_tokens=lambda body: len(json.dumps(body))) as endpoint:
        done = run(endpoint.base_url, tmp_path, "--categories", "simple_python", "--limit", "8", "--mode", "tools")
        asked = [body for body in endpoint.bodies if body["messages"][0]["content"] in right]
    assert done.exit_code == 0, done.output
    assert result_of(tmp_path)["categories"][0]["accuracy"] == 1.0
    assert all(body["tools"][0]["type"] == "function" for body in asked) and len(asked) == 8


def test_a_template_that_drops_tools_or_calls_stops_tools_mode(tmp_path):
    arguments = ("--categories", "simple_python", "--limit", "1", "--mode", "tools")
    with FakeEndpoint("Hello.".format, prompt_tokens=lambda body: 20) as endpoint:
        done = run(endpoint.base_url, tmp_path, *arguments)
    assert done.exit_code == 1 and "drops `tools`" in done.output
    with FakeEndpoint(lambda body: "Hi.", prompt_tokens=lambda body: 20 + 50 * ("tools" in body)) as endpoint:
        done = run(endpoint.base_url, tmp_path, *arguments)
    assert done.exit_code == 1 and "drops the tool calls of earlier turns" in done.output
    with FakeEndpoint(lambda body: (400, "auto tool choice requires --enable-auto-tool-choice")) as endpoint:
        done = run(endpoint.base_url, tmp_path, *arguments)
    assert done.exit_code == 1 and "--tool-parser" in done.output


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("simple_pyton", "did you mean simple_python?"),
        ("web_search_base", "paid search API"),
        ("memory", "share a memory"),
        (",", "name at least one"),
    ],
)
def test_an_unknown_or_unsupported_category_is_named(names, said, tmp_path):
    done = run("http://127.0.0.1:9/v1", tmp_path, "--categories", names)
    assert done.exit_code == 1 and said in " ".join(done.output.split())
