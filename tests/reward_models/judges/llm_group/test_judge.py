"""judge=llm_group through the reward function and the real client, in one process."""

import asyncio
import json
import threading

import pytest
from typer.testing import CliRunner

pytest.importorskip("aiohttp")

from awpo_ext.cli.main import app
from reward_models import Scored, UnscoredReason, reward
from reward_models.judge_eval import attacks as canaries
from reward_models.judges import JudgeNotReadyError, make_judge
from reward_models.judges.llm_group import GROUP_KEY, Place, participant, read_place
from reward_models.reward import compute_score, needs_group, preflight
from tests.reward_models.judges.fakes import rollout
from tests.reward_models.judges.llm_group import ranking_server
from tests.reward_models.judges.llm_group.group_calls import columns, response
from tests.reward_models.judges.llm_group.ranking_server import kwargs_at
from tests.reward_models.llm_client.faulty_server import MODEL, FaultyServer, mixed


def run(*works, seconds=60):
    async def main():
        try:
            return await asyncio.wait_for(asyncio.gather(*works), seconds)
        finally:
            for scorer in reward._scorers.of_running_loop():
                await scorer.judge.aclose()

    return asyncio.run(main())


def scores(found):
    return [one["reasoning"] for one in found]


def codes(found):
    return [one["reasoning_failure"] for one in found]


@pytest.mark.parametrize(("mode", "requests"), [("listwise", 2), ("pairwise", 12)])
def test_siblings_that_are_scored_apart_are_ranked_together(mode, requests):
    with FaultyServer(ranking_server.honest) as server:
        kwargs = kwargs_at(server, mode=mode)
        found = run(*(columns("u", i, 4, f"worth {worth}", **kwargs) for i, worth in enumerate((5, 2, 9, 7))))
    assert scores(found) == pytest.approx([1 / 3, 0.0, 1.0, 2 / 3])
    assert all(one["reasoning_valid"] == 1.0 and one["reasoning_spread"] == 0.0 for one in found)
    assert len(server.requests) == requests


def test_the_spread_is_the_share_of_verdicts_that_the_order_changed():
    with FaultyServer(ranking_server.biased) as server:
        found = run(*(columns("u", i, 3, f"worth {i}", **kwargs_at(server)) for i in range(3)))
    assert scores(found) == [0.5] * 3 and [one["reasoning_spread"] for one in found] == [1.0] * 3


def test_many_groups_at_once_from_several_loops():
    groups, size = 60, 4
    participant._meetings.clear()
    with FaultyServer(ranking_server.honest, latency_s=0.01) as server:
        kwargs = kwargs_at(server)
        found = {}

        def work(session):
            works = [
                columns(f"u{group}", session, size, f"worth {(group + session) % 9} in {group}", **kwargs)
                for group in range(groups)
            ]
            found[session] = run(*works)

        threads = [threading.Thread(target=work, args=(session,)) for session in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert len(server.requests) == 2 * groups
    for group in range(groups):
        worths = [(group + session) % 9 for session in range(size)]
        got = [found[session][group]["reasoning"] for session in range(size)]
        assert got == pytest.approx([sum(w > other for other in worths) / (size - 1) for w in worths])
    (rendezvous,) = participant._meetings.values()
    assert asyncio.run(rendezvous.counts())["members"] == 0


def test_without_all_siblings_those_that_came_are_ranked():
    with FaultyServer(ranking_server.honest) as server:
        kwargs = kwargs_at(server, wait_s=1)
        first = run(columns("u", 0, 4, "worth 1", **kwargs), columns("u", 2, 4, "worth 2", **kwargs))
        assert scores(first) == [0.0, 1.0]
        late, alone = run(columns("u", 3, 4, "worth 3", **kwargs), columns("v", 0, 4, "worth 3", **kwargs))
    assert codes([late, alone]) == [UnscoredReason.TIMEOUT.code, UnscoredReason.NO_EVIDENCE.code]
    assert [late["score"], alone["score"]] == [4.0, 4.0]  # the outcome counts


def test_a_group_of_one_and_a_rollout_without_a_group_do_not_wait():
    with FaultyServer(ranking_server.honest) as server:
        kwargs = kwargs_at(server, wait_s=3600)
        (alone,) = run(columns("u", 0, 1, "worth 1", **kwargs), seconds=5)
        unknown = run(
            compute_score("t", response("x"), response("t"), {}, **kwargs), columns("u", 0, None, "x", **kwargs)
        )
        assert codes([alone, *unknown]) == [UnscoredReason.NO_EVIDENCE.code, *[UnscoredReason.LOAD_FAILED.code] * 2]
        assert not server.requests


def test_a_thoughtless_rollout_does_not_keep_its_siblings_waiting():
    with FaultyServer(ranking_server.honest) as server:
        kwargs = kwargs_at(server, wait_s=3600)
        found = run(*(columns("u", i, 3, thought, **kwargs) for i, thought in enumerate(("", "worth 1", "worth 2"))))
    assert scores(found) == [0.0, 0.5, 1.0]


def test_at_thirty_percent_faults_every_rollout_is_answered():
    with FaultyServer(ranking_server.honest, faults=mixed(0.3)) as server:
        server.retry_after_s = 0
        kwargs = kwargs_at(server, timeout_s=0.3, retries=6, deadline_s=30)
        found = run(*(columns(f"u{i // 4}", i % 4, 4, f"worth {i % 4} in {i}", **kwargs) for i in range(80)))
    right = [i % 4 / 3 for i in range(80)]
    ranked = [(one["reasoning"], want) for one, want in zip(found, right, strict=True) if one["reasoning_valid"]]
    assert len(ranked) >= 60 and all(got == pytest.approx(want) for got, want in ranked)
    assert all(one["reasoning_valid"] or one["reasoning_failure"] for one in found)


def test_a_judge_that_is_down_leaves_all_unscored():
    with FaultyServer(faults={"500": 1.0}) as server:
        kwargs = kwargs_at(server, retries=0)
        found = run(*(columns("u", i, 3, f"worth {i}", **kwargs) for i in range(3)))
    assert len(set(codes(found))) == 1 and codes(found)[0] > 0


def test_a_whole_group_at_hand_is_ranked_without_waiting():
    with FaultyServer(ranking_server.honest) as server:
        judge = make_judge("llm_group", base_url=server.base_url, model=MODEL)

        async def main():
            try:
                return await judge.rank([rollout(f"worth {worth}") for worth in (3, 1, 2)])
            finally:
                await judge.aclose()

        assert asyncio.run(main()) == [Scored(1.0, 0.0), Scored(0.0, 0.0), Scored(0.5, 0.0)]


def test_no_evidence_stays_with_the_rollout_that_lacks_it():
    judge = make_judge("llm_group", base_url="http://127.0.0.1/v1", model=MODEL, reference=True)
    found = asyncio.run(judge.rank([rollout("a"), rollout("b", truth=response("t"))]))
    assert [verdict.reason for verdict in found] == [UnscoredReason.NO_EVIDENCE] * 2
    assert asyncio.run(judge.rank([])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "both"}, "mode='both' is not known; known: listwise, pairwise"),
        ({"wait_s": 0}, r"wait_s=0 must be a number in \[1, 86400\]"),
        ({"max_comparisons": 0}, "max_comparisons=0"),
        ({"votes": 3}, "unknown key 'votes'"),
        ({"rubric": "/nowhere.txt"}, "rubric='/nowhere.txt' cannot be read"),
        ({"structured": "yes"}, "structured='yes' must be true or false"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=f"judge 'llm_group': {message}"):
        make_judge("llm_group", **{"base_url": "http://127.0.0.1/v1", "model": MODEL, **options})


def test_the_preflight_ranks_on_trial():
    with FaultyServer(ranking_server.honest) as server:
        preflight(**kwargs_at(server))
        assert len(server.requests) == 2
    with FaultyServer(faults={"400": 1.0}) as server, pytest.raises(JudgeNotReadyError, match="set structured=false"):
        preflight(**kwargs_at(server))


def test_only_a_ranking_judge_needs_a_group():
    assert needs_group(judge="llm_group", judge_kwargs={"base_url": "http://127.0.0.1/v1", "model": MODEL})
    assert not needs_group() and not needs_group(judge="none")


def test_a_place_is_written_under_one_key_and_wins_over_a_rows_own():
    row = {"uid": "data", "index": 3, GROUP_KEY: {"uid": "forged", "session": "0", "size": 1}}
    written = Place("u", "2", 4).write(row)
    assert read_place(written) == Place("u", "2", 4) and (written["uid"], written["index"]) == ("data", 3)
    assert row[GROUP_KEY]["uid"] == "forged" and read_place({}) is None
    for bad in (None, "u", {}, {"uid": "u"}, {"session": "0"}):
        assert read_place({GROUP_KEY: bad}) is None
    for size in (None, 0, True, "4"):
        assert read_place({GROUP_KEY: {"uid": "u", "session": 0, "size": size}}) == Place("u", "0", None)


def test_a_model_that_repeats_its_prompt_ranks_nobody():
    with FaultyServer(lambda asked: asked["messages"][0]["content"]) as server:
        judge = make_judge("llm_group", base_url=server.base_url, model=MODEL, mode="pairwise", max_comparisons=8)

        async def main():
            try:
                return await judge.rank([canary.rollout for canary in canaries.canaries()[:8]])
            finally:
                await judge.aclose()

        found = asyncio.run(main())
    assert {verdict.reason for verdict in found} == {UnscoredReason.BAD_VERDICT}


def try_group(path, options):
    arguments = ["judge", "try", "--judge", "llm_group", "--judge-kwargs", json.dumps(options), "--file", str(path)]
    return CliRunner().invoke(app, arguments)


def test_a_list_of_rollouts_is_ranked_by_the_group_judge(tmp_path):
    path = tmp_path / "group.json"
    with FaultyServer(ranking_server.honest) as server:
        options = {"base_url": server.base_url, "model": MODEL, "price_per_million_tokens": [3.0, 10.0]}
        path.write_text(json.dumps([{"response": rollout(f"worth {worth}").response} for worth in (1, 3, 2)]))
        result = try_group(path, options)
        assert result.exit_code == 0, result.output
        for part in (
            "rubric   listwise_v1@",
            "0        0.000, 0% of its comparisons changed with the order",
            "1        1.000, 0%",
            "cost     0.000800; 2 calls, 200 prompt and 20 completion tokens",
        ):
            assert part in result.output
        path.write_text(json.dumps({"response": "hi"}))
        result = try_group(path, options)
        assert result.exit_code != 0 and "a JSON list of at least two rollouts" in result.output
    with FaultyServer(faults={"400": 1.0}) as server:
        path.write_text(json.dumps([{"response": rollout(f"worth {worth}").response} for worth in (1, 3)]))
        result = try_group(path, {"base_url": server.base_url, "model": MODEL})
        assert "1        unscored (refused)" in result.output and "structured=false" in result.output
