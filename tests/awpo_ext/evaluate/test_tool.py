"""`awpo eval tool` and `compare` from the command line, against an endpoint that dies, errs, and comes back."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from awpo_ext.data.rows import RL_SCHEMA, placed, rl_row, write_parquet
from tests.awpo_ext.evaluate.fake_endpoint import MODEL, FakeEndpoint

pytest.importorskip("openai")

TOOLS = [{"name": "get_weather", "description": "Weather.", "parameters": {"type": "object", "properties": {}}}]


def call(number):
    return json.dumps({"name": "get_weather", "parameters": {"city": f"city {number}"}})


def answer_text(number):
    return f"<think>Look it up.</think>\n<tool_call>\n{call(number)}\n</tool_call>"


@pytest.fixture
def data(tmp_path):
    rows = [
        rl_row(
            data_source="weather",
            prompt=[{"role": "user", "content": f"Weather in city {number}?"}],
            ground_truth=answer_text(number),
            row_id=str(number),
            category="even" if number % 2 == 0 else "odd",
            question=f"Weather in city {number}?",
            tools=TOOLS,
        )
        for number in range(20)
    ]
    write_parquet(tmp_path / "data.parquet", placed(rows, "val"), RL_SCHEMA)
    return tmp_path / "data.parquet"


def number_of(body):
    return int(body["messages"][-1]["content"].split()[-1].rstrip("?"))


def right(body):
    return answer_text(number_of(body))


def arguments(base_url, data, out, *more):
    return ["eval", "tool", "--base-url", base_url, "--model", MODEL, "--data", str(data), "--out", str(out), *more]


def run(*all_arguments):
    return CliRunner().invoke(app, arguments(*all_arguments))


def said(done):
    return " ".join(done.output.split())


def result_of(out):
    return json.loads((out / "result.json").read_text())


def test_full_marks_reasons_and_pass_at_k(data, tmp_path):
    def answer(body):  # odd cities: one of four samples is right
        return right(body) if number_of(body) % 2 == 0 or body["seed"] == 2 else "no call"

    with FakeEndpoint(answer) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--samples", "4", "--k", "1", "--k", "4")
    assert done.exit_code == 0, done.output
    rows = {row["category"]: row for row in result_of(tmp_path / "o")["categories"]}
    assert rows["even"]["accuracy"] == 1.0 and rows["odd"]["accuracy"] == 0.25
    assert rows["odd"]["pass_at_k"]["4"]["value"] == 1.0 and rows["odd"]["pass_at_k"]["1"]["value"] == 0.25
    assert rows["even"]["reasons"] == {"exact": 40} and rows["odd"]["reasons"]["exact"] == 10
    assert rows["all rows"]["status"] == "FULL" and rows["all rows"]["rows"] == 20
    # "no call" is well formed, so it has 1 for its form and -3 for the missing call
    assert "PARTIAL" not in done.output.replace(str(tmp_path), "")
    assert rows["odd"]["means"]["outcome"] == pytest.approx((4 - 2 * 3) / 4)


def test_a_thought_that_the_prompt_opened_and_that_is_cut_off(data, tmp_path):
    with FakeEndpoint(lambda body: "I would call it, since") as endpoint:
        for thinking, reason in {"auto": "no_call", "opened": "unclosed_think", "template": "no_call"}.items():
            done = run(endpoint.base_url, data, tmp_path / thinking, "--thinking", thinking)
            assert done.exit_code == 0, done.output
            assert result_of(tmp_path / thinking)["categories"][-1]["reasons"] == {reason: 20}
        done = run(endpoint.base_url, data, tmp_path / "o", "--thinking", "closed")
    assert done.exit_code == 1 and "--thinking closed: must be one of template, auto, opened" in said(done)


def test_an_endpoint_that_dies_stops_it_with_what_it_has_and_the_next_run_asks_only_the_rest(data, tmp_path):
    with FakeEndpoint(right, dies_after=7) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--concurrency", "2", "--retries", "0")
    assert done.exit_code == 1 and "cannot be reached" in said(done) and "run the same command again" in said(done)
    assert result_of(tmp_path / "o")["partial"] and "PARTIAL" in (tmp_path / "o" / "result.md").read_text()
    with FakeEndpoint(right) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o")
        assert len(endpoint.bodies) == 13
    assert done.exit_code == 0, done.output
    assert result_of(tmp_path / "o")["categories"][-1]["accuracy"] == 1.0 and not result_of(tmp_path / "o")["partial"]


def test_a_killed_run_loses_nothing_that_was_answered(data, tmp_path):
    def slow(body):
        time.sleep(0.1)
        return right(body)

    with FakeEndpoint(slow) as endpoint:
        script = "from awpo_ext.cli.main import app; import sys; app(sys.argv[1:])"
        command = [
            sys.executable,
            "-c",
            script,
            *arguments(endpoint.base_url, data, tmp_path / "o", "--concurrency", "1"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        path = tmp_path / "o" / "answers.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (path.exists() and path.read_bytes().count(b"\n") >= 5):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kept = path.read_bytes().count(b"\n") - 1
        with open(path, "ab") as file:
            file.write(b'{"key": "torn')
        asked = len(endpoint.bodies)
        done = run(endpoint.base_url, data, tmp_path / "o")
        assert len(endpoint.bodies) - asked == 20 - kept and kept >= 4
    assert done.exit_code == 0 and f"{kept} of 20 answers are there already" in done.output


def test_a_prompt_that_is_too_long_is_counted_and_said(data, tmp_path):
    def answer(body):
        if number_of(body) < 3:
            return 400, "This model's maximum context length is 64 tokens. However, you requested 99 tokens."
        return right(body)

    with FakeEndpoint(answer) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o")
    assert done.exit_code == 0 and "3 without an answer (context_too_small), counted as wrong" in said(done)
    row = result_of(tmp_path / "o")["categories"][-1]
    assert row["accuracy"] == 17 / 20 and row["reasons"]["no answer: context_too_small"] == 3


def test_requests_that_fail_for_now_are_left_and_asked_again(data, tmp_path):
    with FakeEndpoint(lambda body: (503, "busy") if number_of(body) in (3, 5) else right(body)) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--retries", "0", "--concurrency", "1")
    assert done.exit_code == 1 and "2 requests failed in a way that may pass" in said(done)
    assert result_of(tmp_path / "o")["categories"][-1]["scored"] == 18 and "odd (8 of 10)" in said(done)
    with FakeEndpoint(right) as endpoint:
        run(endpoint.base_url, data, tmp_path / "o")
        assert sorted(map(number_of, endpoint.bodies)) == [3, 5]
    assert not result_of(tmp_path / "o")["partial"]


def test_an_endpoint_that_only_fails_is_given_up(data, tmp_path):
    with FakeEndpoint(lambda body: (500, "broken")) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--retries", "0", "--concurrency", "1")
        assert len(endpoint.bodies) == 8
    assert done.exit_code == 1 and "8 requests in a row failed" in said(done) and "HTTP 500" in said(done)


def test_limit_is_partial_everywhere_and_a_full_run_reuses_it(data, tmp_path):
    with FakeEndpoint(right) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--limit", "2")
        assert "PARTIAL" in done.output
        for name in ("result.json", "result.md", "result.html"):
            assert "PARTIAL" in (tmp_path / "o" / name).read_text()
        run(endpoint.base_url, data, tmp_path / "o")
        assert len(endpoint.bodies) == 20
    assert "PARTIAL" not in (tmp_path / "o" / "result.html").read_text()


def test_another_sampling_does_not_mix_with_the_answers_that_are_there(data, tmp_path):
    with FakeEndpoint(right) as endpoint:
        run(endpoint.base_url, data, tmp_path / "o", "--limit", "1")
        done = run(endpoint.base_url, data, tmp_path / "o", "--max-tokens", "9")
    assert done.exit_code == 1 and "max_tokens: 1024 there, 9 now" in said(done)


def test_what_a_model_wrote_is_escaped_in_the_reports(data, tmp_path):
    with FakeEndpoint(right, models=("<script>alert(1)</script>|x",)) as endpoint:
        command = arguments(endpoint.base_url, data, tmp_path / "o")
        command[command.index(MODEL)] = "<script>alert(1)</script>|x"
        assert CliRunner().invoke(app, command).exit_code == 0
    assert "<script>" not in (tmp_path / "o" / "result.html").read_text()
    assert "<script>" not in (tmp_path / "o" / "result.md").read_text()


def test_a_key_is_not_repeated(data, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    with FakeEndpoint(lambda body: (400, "bad request with key sk-secret-123")) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--api-key-env", "MY_KEY")
    assert "sk-secret" not in done.output + "".join(path.read_text() for path in (tmp_path / "o").iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--verifier", "stict"), "'strict'"),
        (("--k", "2"), "--samples 1"),
        (("--limit", "0"), "--limit 0"),
        (("--verifier-kwargs", "{"), "must be a JSON object"),
        (("--checkpoint", "nowhere"), "--checkpoint nowhere: no such folder"),
        (("--model", "other"), "it serves: fake"),
        (("--temperature", "-1"), "temperature=-1"),
    ],
)
def test_bad_options_are_named(data, tmp_path, more, message):
    with FakeEndpoint(right) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", *more)
        assert not endpoint.bodies
    assert done.exit_code == 1 and message in said(done)


def test_compare_pairs_two_results(data, tmp_path):
    with FakeEndpoint(lambda body: right(body) if number_of(body) < 10 else "no") as endpoint:
        run(endpoint.base_url, data, tmp_path / "a")
    with FakeEndpoint(lambda body: right(body) if number_of(body) >= 4 else "no") as endpoint:
        run(endpoint.base_url, data, tmp_path / "b")
    files = [str(tmp_path / name / "result.json") for name in ("a", "b")]
    done = CliRunner().invoke(app, ["eval", "compare", *files, "--out", str(tmp_path / "c.json")])
    assert done.exit_code == 0, done.output
    row = json.loads((tmp_path / "c.json").read_text())["rows"][-1]
    assert (row["only_first"], row["only_second"], row["tasks"]) == (4, 10, 20)
    assert row["difference"] == pytest.approx(0.3) and row["p"] == pytest.approx(0.1795654296875)
    other = json.loads((tmp_path / "b" / "result.json").read_text()) | {"data": "other"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    done = CliRunner().invoke(app, ["eval", "compare", files[0], str(tmp_path / "other.json")])
    assert done.exit_code == 1 and "differ in data" in said(done)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ((), 0, "20 rows"),
        (("--data", "later.parquet"), 0, "not there yet"),
        (("--verifier", "stricct"), 1, "verifier='stricct'"),
        (("--verifier-kwargs", '{"dialekt": "hermes"}'), 1, "dialekt"),
        (("--vllm-args", "'"), 1, "--vllm-args"),
        (("--max-tokens", "0"), 1, "max_tokens"),
        (("--checkpoint", "m"), 1, "--checkpoint"),
    ],
)
def test_a_dry_run_checks_and_asks_nothing(data, tmp_path, more, code, message):
    done = run("http://127.0.0.1:9/v1", data, tmp_path / "o", "--dry-run", *more)
    assert done.exit_code == code and message in said(done)
    assert not (tmp_path / "o").exists()
