"""A judge is measured: what is asked, what is kept, what its failures become, and how robust it is."""

import asyncio
import json
import math

import pytest

from reward_models.judge_eval import robustness
from reward_models.judge_eval.attacks import Canary, CanaryReport, CanaryResult
from reward_models.judge_eval.records import Record, Recorder, VerdictFile, judge_hash
from reward_models.judge_eval.run import Answers, EvalConfig, ask_judge
from reward_models.judges import Judge
from reward_models.labelled import LabelledRollout
from reward_models.types import Scored, Unscored, UnscoredReason
from tests.reward_models.judge_eval.fakes import CoinJudge, DeadJudge, FailingJudge, GoodJudge, rollout, rows


def measured(judge, data, path, **config):
    file = VerdictFile(path, "judge")
    try:
        return asyncio.run(ask_judge(judge, data, file, EvalConfig(**config), lambda name, size: lambda: None))
    finally:
        file.close()


def test_every_row_is_asked_once_and_some_again(tmp_path):
    GoodJudge.asked = 0
    found = measured(GoodJudge(), rows(5), tmp_path / "v.jsonl", votes=3, vote_rows=4, pairs=3)
    assert len(found.first) == 20 and len(found.repeated) == 4 and len(found.compared) == 3
    assert all(len(records) == 3 for _, records in found.repeated)
    canaries = len(found.canaries.results) + 2
    assert GoodJudge.asked == 1 + 20 + 4 * 2 + canaries  # the first call loads weights
    measured(GoodJudge(), rows(5), tmp_path / "v.jsonl", votes=3, vote_rows=4, pairs=3)
    assert GoodJudge.asked == 1 + 20 + 4 * 2 + canaries  # all on record


def test_a_row_that_changed_is_asked_again(tmp_path):
    data = rows(3)
    measured(GoodJudge(), data, tmp_path / "v.jsonl", votes=1)
    GoodJudge.asked = 0
    data[0] = LabelledRollout(data[0].id, data[0].source, data[0].kind, 1.0, rollout("Another thought on Lyon."))
    measured(GoodJudge(), data, tmp_path / "v.jsonl", votes=1)
    assert GoodJudge.asked == 2  # one to load weights


def test_a_judges_faults_are_unscored_and_told_apart(tmp_path):
    found = measured(FailingJudge(), rows(2), tmp_path / "v.jsonl", votes=1)
    by_kind = {row.kind: record for row, record in zip(rows(2), found.first, strict=True)}
    assert by_kind["honest"].verdict == Scored(0.9)
    assert by_kind["empty"].verdict.reason is UnscoredReason.TIMEOUT and not by_kind["empty"].broke
    for kind in ("swapped", "praise"):
        assert by_kind[kind].verdict.reason is UnscoredReason.ERROR and by_kind[kind].broke
    assert "secret-header" not in (tmp_path / "v.jsonl").read_text()


def test_a_judge_that_scores_nothing_is_asked_nothing_more(tmp_path):
    found = measured(DeadJudge(), rows(2), tmp_path / "v.jsonl")
    assert found.canaries is None and found.repeated == [] and found.compared is None


def test_a_line_cut_by_a_kill_is_dropped_and_asked_again(tmp_path):
    path = tmp_path / "v.jsonl"
    measured(GoodJudge(), rows(3), path, votes=1)
    whole = path.read_text()
    path.write_text(whole[:-20])
    measured(GoodJudge(), rows(3), path, votes=1)
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == [
        json.loads(line)["key"] for line in whole.splitlines()
    ]


@pytest.mark.parametrize("line", ["{}", "[1]", '{"judge": "judge"}', '{"judge": "judge", "value": 2}', "\xff"])
def test_a_line_that_is_no_verdict_is_named(tmp_path, line):
    (tmp_path / "v.jsonl").write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(ValueError, match=r"v\.jsonl: line 1"):
        VerdictFile(tmp_path / "v.jsonl", "judge")


def test_a_file_has_one_writer_and_a_judge_does_not_read_anothers(tmp_path):
    path = tmp_path / "v.jsonl"
    measured(GoodJudge(), rows(1), path, votes=1)
    file = VerdictFile(path, "another judge")
    assert file.records() == []
    with pytest.raises(ValueError, match="another run writes"):
        VerdictFile(path, "judge")
    file.close()


def test_unscored_verdicts_are_asked_again_on_request(tmp_path):
    path = tmp_path / "v.jsonl"
    measured(FailingJudge(), rows(2), path, votes=1)
    file = VerdictFile(path, "judge", retry_unscored=True)
    assert file.records() and all(isinstance(record.verdict, Scored) for record in file.records())
    file.close()


def test_no_more_calls_than_allowed_are_under_way(tmp_path):
    class Counting(Judge):
        now = most = 0

        async def score(self, rollout):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.001)
            self.now -= 1
            return Scored(0.5)

    judge = Counting()
    measured(judge, rows(10), tmp_path / "v.jsonl", votes=1, concurrency=3)
    assert judge.most == 3


def test_the_hash_is_of_name_options_and_files(tmp_path):
    folder = tmp_path / "scorer"
    folder.mkdir()
    (folder / "weights").write_text("1")
    first = judge_hash("scorer", {"model": str(folder), "threads": 1})
    assert first == judge_hash("scorer", {"threads": 1, "model": str(folder)})
    assert first != judge_hash("scorer", {"model": str(folder), "threads": 2})
    (folder / "weights").write_text("22")
    assert first != judge_hash("scorer", {"model": str(folder), "threads": 1})


@pytest.mark.parametrize(("key", "value"), [("votes", 0), ("concurrency", 0), ("pairs", -1), ("seed", 1.5)])
def test_a_bad_amount_is_named(key, value):
    with pytest.raises(ValueError, match=f"{key}={value}"):
        EvalConfig(**{key: value})


def test_votes_that_agree_have_no_spread_and_those_of_a_coin_do(tmp_path):
    steady = measured(GoodJudge(), rows(10), tmp_path / "a.jsonl")
    found = robustness.consistency(steady.repeated)
    assert (found.rows, found.votes, found.half_scored) == (40, 3, 0)
    assert found.spread.value == 0 and found.agreement.value == pytest.approx(1)
    coin = measured(CoinJudge(), rows(10), tmp_path / "b.jsonl")
    found = robustness.consistency(coin.repeated)
    assert 0.2 < found.spread.value < 0.4 and abs(found.agreement.value) < 0.4
    assert robustness.consistency([]) is None


def test_votes_of_which_some_failed_are_counted():
    def record(verdict):
        return Record("k", "score", verdict, 0.1, "s", 1.0, {})

    row = rows(1)[0]
    failed = record(Unscored(UnscoredReason.TIMEOUT))
    found = robustness.consistency([(row, [record(Scored(0.5)), failed]), (row, [failed, failed])])
    assert found.rows == 0 and found.half_scored == 1 and math.isnan(found.spread.value)


def test_order_bias_of_a_judge_that_likes_the_first(tmp_path):
    fair = robustness.order_bias(measured(GoodJudge(), rows(10), tmp_path / "a.jsonl").compared)
    assert fair.first.value == 0.5 and fair.flips.value == 0 and fair.accuracy.value == 1 and fair.pairs == 30
    first = robustness.order_bias(measured(CoinJudge(), rows(10), tmp_path / "b.jsonl").compared)
    assert first.first.value == 1 and first.flips.value == 1 and first.accuracy.value == 0.5
    assert robustness.order_bias(None) is None


def canary_report(good, bad, *scores):
    verdicts = [Unscored(UnscoredReason.TIMEOUT) if score is None else Scored(score) for score in scores]
    results = tuple(CanaryResult(Canary(str(n), "ask", "").name, "ask", v, False) for n, v in enumerate(verdicts))
    return CanaryReport(good, bad, results, 0.5)


def test_canaries_are_counted_on_the_judges_own_scale():
    found = robustness.canary_result(canary_report(Scored(0.4), Scored(0.2), 0.35, 0.25, None))
    assert found.threshold == pytest.approx(0.3) and (found.swayed, found.scored, found.total) == (1, 2, 3)
    assert found.share.value == 0.5 and found.by_kind == {"ask": (1, 2, 3)}


@pytest.mark.parametrize("good", [Scored(0.2), Scored(0.1), Unscored(UnscoredReason.TIMEOUT)])
def test_canaries_say_nothing_where_the_controls_are_not_told_apart(good):
    found = robustness.canary_result(canary_report(good, Scored(0.2), 1.0))
    assert math.isnan(found.threshold) and found.swayed == 0 and math.isnan(found.share.value)


def test_speed_leaves_out_the_time_between_sessions():
    def record(session, elapsed):
        return Record("k", "score", Scored(0.5), 1.0, session, elapsed, {})

    records = [record("a", 1.0), record("a", 2.0), record("b", 11.0), record("b", 12.0)]
    found = robustness.speed(Answers(records, [], None, None, records, 3.0), 4)
    assert found.per_second == 1 and found.p50_s.value == 1 and found.calls == 4 and found.load_s == 3


def test_cost_is_the_last_total_of_each_session():
    def record(session, cost):
        spent = {"calls": 10 * cost, "prompt_tokens": 100 * cost, "cost": cost}
        return Record("k", "score", Scored(0.5), 1.0, session, 1.0, spent)

    found = robustness.cost([record("a", 1.0), record("a", 3.0), record("b", 2.0)])
    assert found.cost == 5 and found.prompt_tokens == 500 and found.calls == 50
    assert found.per_thousand == pytest.approx(1000 * 5 / 3)
    assert robustness.cost([Record("k", "score", Scored(0.5), 1.0, "a", 1.0, {})]) is None


def test_a_ledgers_totals_before_the_measurement_do_not_count(tmp_path):
    class Paid(GoodJudge):
        calls = 100.0

        async def score(self, rollout):
            self.calls += 1
            return await super().score(rollout)

        def summary(self):
            return {"calls": self.calls, "cost": self.calls / 10, "queue_p50_s": 1.0}

    found = robustness.cost(measured(Paid(), rows(1), tmp_path / "v.jsonl", votes=1).records)
    assert found.calls == 1 + 4 + 50 and found.cost == pytest.approx(5.5)


def test_a_cancelled_measurement_keeps_what_was_judged(tmp_path):
    class Hanging(GoodJudge):
        async def score(self, rollout):
            if "(1)" in rollout.response:
                await asyncio.sleep(60)
            return await super().score(rollout)

    file = VerdictFile(tmp_path / "v.jsonl", "judge")

    async def cut():
        await asyncio.wait_for(Recorder(Hanging(), file).score(rows(2), 0), 0.2)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(cut())
    assert len(file.records()) == 5  # all of source 0, and the empty thought of source 1
    file.close()
