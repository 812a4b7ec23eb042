"""Distillation: what a judge scored becomes labels, what it did not is counted, and a stopped run goes on."""

import asyncio
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_models import Scored, Unscored
from reward_models.judge_eval.distil import describe, distil, with_pairs
from reward_models.judges import Judge, make_judge
from reward_models.labelled import LabelledRollout, read_labelled
from reward_models.scorers.data.rollout_files import AMBIGUOUS, REPEATED, UNMATCHED, read_rollouts
from tests.reward_models.scorers.classifier.tiny_models import TOOLS, rollout

PROVENANCE = {"judge": "length"}


class LengthJudge(Judge):
    """Longer responses are better; "?" is refused, "!" raises."""

    def __init__(self):
        self.asked = []
        self.at_once = self.most_at_once = 0

    async def score(self, one):
        self.asked.append(one.response)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if "!" in one.response:
            raise RuntimeError("secret")
        return Unscored("refused") if "?" in one.response else Scored(min(1, len(one.response) / 1000))


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def own_lines(count, mark=""):
    return [
        {"response": f"<think>{'x' * 50 * n}{mark}</think> a", "question": f"q{n % 3}"} for n in range(1, count + 1)
    ]


def run(judge, found, out, **options):
    return asyncio.run(distil(judge, found.found, out, PROVENANCE, **options))


def test_labels_are_the_judges_scores_with_their_origin(tmp_path):
    path = write_lines(tmp_path / "rollouts.jsonl", [*own_lines(6), *own_lines(1, "?"), *own_lines(1, "!")])
    judge = LengthJudge()
    done = run(judge, read_rollouts([path]), tmp_path / "out.parquet", concurrency=3)
    rows = read_labelled(tmp_path / "out.parquet")
    assert (done.rows, done.pairs, done.unscored) == (6, 0, {"refused": 1, "error": 1})
    assert [row.label for row in rows] == [len(row.rollout.response) / 1000 for row in rows]
    assert len({row.source for row in rows}) == 3
    assert {row.provenance["file"] for row in rows} == {"rollouts.jsonl"}
    assert all(row.provenance["judge"] == "length" and len(row.provenance["file_sha256"]) == 64 for row in rows)
    assert judge.most_at_once == 3
    assert not list(tmp_path.glob("*.scores.jsonl"))


def test_a_stopped_run_goes_on_and_asks_again_only_for_what_failed(tmp_path):
    path = write_lines(tmp_path / "rollouts.jsonl", [*own_lines(1, "?"), *own_lines(8)])
    found = read_rollouts([path])
    seen = []

    def stop():
        seen.append(1)
        if len(seen) == 5:
            raise KeyboardInterrupt

    first, second = LengthJudge(), LengthJudge()
    with pytest.raises(KeyboardInterrupt):
        run(first, found, tmp_path / "out.jsonl", concurrency=1, progress=stop)
    kept = tmp_path / "out.jsonl.scores.jsonl"
    with open(kept, "a") as file:
        file.write('{"id": "cut')  # the machine went down while it wrote
    with pytest.raises(ValueError, match="was begun with another judge"):
        asyncio.run(distil(second, found.found, tmp_path / "out.jsonl", {"judge": "other"}))
    done = run(second, found, tmp_path / "out.jsonl", concurrency=1)
    assert done.rows == 8 and done.unscored == {"refused": 1}
    scored = [text for text in first.asked if "?" not in text]
    assert len(scored) == 4 and not set(scored) & set(second.asked)
    assert sum("?" in text for text in second.asked) == 1


def test_a_judge_that_scores_nothing_is_given_up(tmp_path):
    path = write_lines(tmp_path / "rollouts.jsonl", own_lines(200, "?"))
    judge = LengthJudge()
    with pytest.raises(ValueError, match="none of the first 50 rollouts; the last: refused"):
        run(judge, read_rollouts([path]), tmp_path / "out.jsonl", concurrency=4)
    assert len(judge.asked) < 60
    few = write_lines(tmp_path / "few.jsonl", own_lines(3, "?"))
    with pytest.raises(ValueError, match="none of 3 rollouts"):
        run(LengthJudge(), read_rollouts([few]), tmp_path / "few_out.jsonl")
    assert not (tmp_path / "few_out.jsonl").exists()


LABELS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1)), min_size=1, max_size=12)


@settings(max_examples=100)
@given(values=LABELS, margin=st.floats(0.01, 1))
def test_pairs_are_of_one_source_and_the_nearest_by_the_margin(values, margin):
    rows = [LabelledRollout(str(i), source, "rollout", label, rollout("x")) for i, (source, label) in enumerate(values)]
    for row, paired in zip(rows, with_pairs(rows, margin), strict=True):
        better = [other for other in rows if other.source == row.source and other.label - row.label >= margin]
        if not better:
            assert paired.pair is None
        else:
            assert rows[int(paired.pair)].label == min(other.label for other in better)
            assert paired.pair in {other.id for other in better}


def test_margin_makes_pairs_that_can_be_read_back(tmp_path):
    path = write_lines(tmp_path / "rollouts.jsonl", own_lines(9))
    done = run(LengthJudge(), read_rollouts([path]), tmp_path / "out.jsonl", margin=0.1)
    rows = {row.id: row for row in read_labelled(tmp_path / "out.jsonl")}
    pairs = [(rows[row.pair], row) for row in rows.values() if row.pair]
    assert len(pairs) == done.pairs == 6
    assert all(better.source == worse.source and better.label - worse.label >= 0.1 for better, worse in pairs)
    with pytest.raises(ValueError, match="margin=0 must be a number"):
        run(LengthJudge(), read_rollouts([path]), tmp_path / "x.jsonl", margin=0)


def dataset(path, *rows):
    table = [
        {
            "data_source": "toy",
            "prompt": [{"role": "system", "content": "Use tools."}, {"role": "user", "content": question}],
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": {"question": question, "tools": tools},
        }
        for question, truth, tools in rows
    ]
    pq.write_table(pa.Table.from_pylist(table), path)
    return path


def dumped(question, truth, output="<think>a</think> b", end=""):
    text = f"system\nUse tools.\nuser\n  {question}\nassistant\n{end}"
    return {"input": text, "output": output, "gts": truth, "score": 1.0, "step": 1, "uid": "u_0_0"}


def test_dumps_of_verl_are_joined_with_the_data_set(tmp_path):
    data = dataset(
        tmp_path / "train.parquet",
        ("Weather in Rome?", "t1", TOOLS),
        ("Weather in\nOslo?", "t1", "[]"),
        ("Twice?", "t2", "[]"),
        ("Twice?", "t2", TOOLS),
    )
    folder = tmp_path / "dumps"
    folder.mkdir()
    lines = [
        dumped("Weather in Rome?", "t1"),
        dumped("Weather in Oslo?", "t1", "a</think> b", end="<think>\n"),
        dumped("Twice?", "t2"),
        dumped("Weather in Paris?", "t1"),
        dumped("Weather in Rome?", None),
    ]
    write_lines(folder / "10.jsonl", lines)
    write_lines(folder / "9.jsonl", lines[:1])
    read = read_rollouts([folder], [data])
    assert [item.file for item in read.found] == ["9.jsonl", "10.jsonl"]
    rome, oslo = (item.rollout for item in read.found)
    assert (rome.question, rome.tools, rome.data_source, rome.ground_truth) == ("Weather in Rome?", TOOLS, "toy", "t1")
    assert oslo.response == "<think>a</think> b" and oslo.tools == "[]"
    assert read.left_out == {REPEATED: 1, AMBIGUOUS: 1, UNMATCHED: 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rollouts to score"),
        ("[1]\n", "line 1: expected an object"),
        ("\n{\n", "line 2: not JSON"),
        ('{"text": 1}\n', "line 1: neither a rollout"),
        ('{"response": "a", "questoin": "b"}\n', "unknown field 'questoin'"),
        ('{"response": "a", "extra_info": 3}\n', "extra_info must be an object"),
        ('{"input": "a", "output": "b"}\n', "give the parquet of the data set"),
    ],
)
def test_files_that_do_not_do_are_refused_by_line(tmp_path, text, message):
    (tmp_path / "rollouts.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rollouts([tmp_path / "rollouts.jsonl"])


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_rollouts([tmp_path / "none.jsonl"])
    with pytest.raises(ValueError, match=r"without \*\.jsonl"):
        read_rollouts([tmp_path])
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(ValueError, match="cannot be read"):
        read_rollouts([tmp_path / "latin.jsonl"])
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    write_lines(tmp_path / "ok.jsonl", own_lines(1))
    with pytest.raises(ValueError, match="is it verl's RL schema"):
        read_rollouts([tmp_path / "ok.jsonl"], [tmp_path / "foreign.parquet"])
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        read_rollouts([tmp_path / "ok.jsonl"], [tmp_path / "latin.jsonl"])


def test_provenance_of_an_llm_judge_names_rubric_and_model_and_no_option():
    options = {"base_url": "http://127.0.0.1:9/v1", "model": "grader"}
    found = describe("llm", make_judge("llm", **options), options)
    assert found["model"] == "grader" and "@" in found["rubric"] and "127.0.0.1" not in json.dumps(found)
