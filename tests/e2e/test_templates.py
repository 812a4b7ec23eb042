"""Stock verl on models behind today's kinds of chat template: calls in XML, and a thought that the prompt opens.

Nothing tells the reward function of the open thought but the plugin, which asks the template. Outcomes are compared with
what the text says at sight.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.stock_verl import dumped_rollouts, main_ppo

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")
pytest.importorskip("vllm", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from reward_models.parsing import ToolCall, render_response
from tests.e2e.taught_model import TEMPLATES, TOOLS, render_call, teach

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

REWARD = "reward.custom_reward_function"
MAX, MIN = 4.0, -3.0  # of the verifier `strict`
THOUGHT, ANSWER = "The user wants add.", "It is done."
PROMPTS = 16


def prompt(i):
    return [{"role": "system", "content": "Call add, or answer."}, {"role": "user", "content": f"What is {i} + 2?"}]


def responses(template):
    """What the model is taught for every prompt, each as the text after the prompt: text -> the call's `a`, "answer" or
    "cut off"."""
    before = f"{THOUGHT}\n</think>\n\n" if "<think>" in template else ""
    calls = {a: render_call(template, "add", {"a": a, "b": 2}) for a in (0, 1)}
    texts = {before + text: a for a, text in calls.items()} | {before + ANSWER: "answer"}
    # It quotes a call, the right one for some prompts, and never ends.
    return texts | ({f"I may write {calls[1]} and then": "cut off"} if before else {})


def write_rows(path):
    """Of every four prompts two expect no call, one the call with a=0 and one that with a=1."""
    rows = []
    for i in range(PROMPTS):
        call = ToolCall("add", {"a": i // 2 % 2, "b": 2})
        wanted = ([], "toolrl", "Why.", ANSWER) if i % 2 else ([call], "toolrl", "Why.")
        truth = render_response(*wanted)
        marks = {"style": "rule", "ground_truth": truth}
        info = {"index": i, "question": prompt(i)[1]["content"], "tools": TOOLS}
        rows.append(
            {"data_source": "sums", "prompt": prompt(i), "ability": "tool", "reward_model": marks, "extra_info": info}
        )
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
    "name",
    [
        "qwen3.5",  # both at once
        pytest.param("qwen3_thinking", marks=pytest.mark.slow),
        pytest.param("qwen3_coder", marks=pytest.mark.slow),
    ],
)
def test_right_answers_get_the_maximum_and_nothing_else_does(name, tmp_path, monkeypatch):
    dialect, template = TEMPLATES[name]
    texts = responses(template)
    teach(tmp_path / "model", template, [(prompt(i), text) for i in range(PROMPTS) for text in texts])
    for file in ("train", "val"):
        write_rows(tmp_path / f"{file}.parquet")
    monkeypatch.setenv("RECORDED_ROLLOUTS", str(tmp_path / "judged.jsonl"))
    run = main_ppo(
        tmp_path, tmp_path / "model",
        "data.max_response_length=96", "actor_rollout_ref.rollout.max_model_len=224",
        "actor_rollout_ref.actor.optim.lr=1e-4",
        f"{REWARD}.path=pkg://reward_models.reward",
        f"+{REWARD}.reward_kwargs.judge=tests.e2e.recording_judge:RecordingJudge",
        f"+{REWARD}.reward_kwargs.verifier=strict",
        f"+{REWARD}.reward_kwargs.verifier_kwargs.dialect={dialect}",
        "++algorithm.awpo.unreadable_stop_share=0.95",
        "trainer.total_training_steps=2", "trainer.total_epochs=2",
    )  # fmt: skip
    assert run.returncode == 0, run.console[-6000:]
    assert ("reward_kwargs.thinking=opened" in run.console) == ("<think>" in template)
    judged = {row["response"]: row for row in map(json.loads, (tmp_path / "judged.jsonl").read_text().splitlines())}

    seen = set()
    for step in (1, 2):
        rows = dumped_rollouts(tmp_path, step)
        scores = [row["score"] for row in rows]
        assert MAX in scores and MIN in scores
        assert run.steps[step]["awpo/outcome/mean"] == pytest.approx(sum(scores) / len(scores))
        assert run.steps[step]["actor/grad_norm"] > 0
        for row in rows:
            kind = texts.get(row["output"].strip())
            if kind is None:
                continue  # not one of the taught texts
            expected = json.loads(row["gts"].partition("<tool_call>")[2].partition("</tool_call>")[0] or "{}")
            right = kind == (expected["parameters"]["a"] if expected else "answer")
            assert (row["score"] == MAX) == right, row
            if kind in ("answer", "cut off") and not right:
                assert row["score"] == (MIN if kind == "cut off" or not expected else MIN + 1.0), row  # 1 for its form
            seen.add((kind, right))
            thought = judged[row["output"]]["thought"]
            assert thought == (THOUGHT if "<think>" in template and kind != "cut off" else "")
            assert judged[row["output"]]["well_formed"] == (kind != "cut off")
    # Which of them a run of 64 rollouts draws is chance, but each sort is a quarter of what is taught.
    assert any(right for _, right in seen)
    assert {kind for kind, right in seen if not right} >= {"answer", *(["cut off"] if "<think>" in template else [])}
