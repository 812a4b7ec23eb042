"""`awpo eval mmlu_pro` on a small local file of MMLU-Pro's schema: lm-eval's prompts, our requests."""

import json

import pytest
from typer.testing import CliRunner

from awpo_ext.cli.main import app
from tests.awpo_ext.evaluate.fake_endpoint import MODEL, FakeEndpoint

pytest.importorskip("openai")
pytest.importorskip("lm_eval")


def row(number, category, cot=""):
    options = [f"value {index}" for index in range(4)]
    return {
        "question_id": number, "question": f"Question number {number}?", "options": options, "answer": "ABCD"[number % 4],
        "answer_index": number % 4, "cot_content": cot, "category": category, "src": "local",
    }  # fmt: skip


@pytest.fixture
def data(tmp_path):
    worked = "A: Let's think step by step. It is so. The answer is (A)."
    splits = {
        "test": [row(n, "math" if n % 2 else "law") for n in range(8)],
        "validation": [row(100 + n, category, worked) for category in ("math", "law") for n in range(5)],
    }
    for split, rows in splits.items():
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    return tmp_path


def run(base_url, data, out, *more):
    command = [
        "eval",
        "mmlu_pro",
        "--base-url",
        base_url,
        "--model",
        MODEL,
        "--data",
        str(data),
        "--out",
        str(out),
        *more,
    ]
    return CliRunner().invoke(app, command)


def test_lm_evals_prompt_and_extraction_with_our_intervals(data, tmp_path):
    def answer(body):
        number = int(body["messages"][-1]["content"].rsplit("Question number ", 1)[1].split("?")[0])
        return "I do not know." if number == 1 else f"It follows. The answer is ({'ABCD'[number % 4]})."

    with FakeEndpoint(answer) as endpoint:
        done = run(endpoint.base_url, data, tmp_path / "o", "--subjects", "math,law")
        prompts = [body["messages"][-1]["content"] for body in endpoint.bodies]
        stops = {tuple(body["stop"]) for body in endpoint.bodies}
    assert done.exit_code == 0, done.output
    rows = {row["category"]: row for row in json.loads((tmp_path / "o" / "result.json").read_text())["categories"]}
    assert rows["law"]["accuracy"] == 1.0 and rows["math"]["accuracy"] == 0.75
    assert rows["math"]["reasons"] == {"right": 3, "no letter": 1} and rows["all rows"]["rows"] == 8
    assert all(prompt.count("Options:") == 6 and "(with answers) about" in prompt for prompt in prompts)
    assert stops == {("Question:",)}


@pytest.mark.parametrize(
    ("subjects", "said"), [("maths", "did you mean math?"), ("physics", "no question of the category 'physics'")]
)
def test_a_subject_that_is_not_there_is_named(data, tmp_path, subjects, said):
    done = run("http://127.0.0.1:9/v1", data, tmp_path / "o", "--subjects", subjects)
    assert done.exit_code == 1 and said in " ".join(done.output.split())


def test_a_file_of_another_schema_is_named(data, tmp_path):
    (data / "test.jsonl").write_text(json.dumps({"question": "x", "category": "math"}) + "\n")
    done = run("http://127.0.0.1:9/v1", data, tmp_path / "o", "--subjects", "math")
    assert done.exit_code == 1 and "record 0: no field 'options'" in " ".join(done.output.split())
