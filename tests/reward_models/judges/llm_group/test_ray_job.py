"""judge=llm_group in the processes of a Ray job."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("aiohttp")

from reward_models import UnscoredReason
from tests.reward_models.judges.llm_group import ranking_server
from tests.reward_models.judges.llm_group.ranking_server import kwargs_at
from tests.reward_models.llm_client.faulty_server import FaultyServer

# Two processes share six groups of four, before and after the actor was killed, and then one is killed.
JOB = """
import asyncio, json, sys, time, ray
from tests.reward_models.judges.llm_group.group_calls import columns

@ray.remote(num_cpus=0)
class Worker:
    def __init__(self, sessions):
        self.sessions = sessions

    async def work(self, kwargs, name, groups):
        works = [
            columns(f"{name}{g}", session, 4, f"worth {(g + session) % 5}", **kwargs)
            for g in range(groups) for session in self.sessions
        ]
        return [[one["reasoning"], one["reasoning_failure"]] for one in await asyncio.gather(*works)]

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
kwargs = json.loads(sys.argv[1])
workers = [Worker.remote([0, 2]), Worker.remote([1, 3])]

def actor():
    (name,) = [name for name in ray.util.list_named_actors() if name.startswith("awpo-group-rendezvous-")]
    return ray.get_actor(name)

def everyone(name, groups=6):
    return [worker.work.remote(kwargs, name, groups) for worker in workers]

ray.get(everyone("warm", groups=0), timeout=100)  # imports take longer than the wait
first = ray.get(everyone("a"), timeout=60)
waiting = workers[0].work.remote(kwargs, "b", 1)
while ray.get(actor().counts.remote())["members"] < 2:
    time.sleep(0.02)
ray.kill(actor())
lost = ray.get(waiting, timeout=60)
again = ray.get(everyone("c"), timeout=60)
ray.kill(workers[0])  # it may have made the actor
time.sleep(0.5)
rest = ray.get(workers[1].work.remote(kwargs, "d", 2), timeout=120)
print(json.dumps({"first": first, "lost": lost, "again": again, "rest": rest}))
ray.shutdown()
"""


def test_the_processes_of_a_ray_job_meet_in_one_actor_and_survive_its_death():
    pytest.importorskip("ray")
    with FaultyServer(ranking_server.honest) as server:
        kwargs = json.dumps(kwargs_at(server, wait_s=4))
        done = subprocess.run(
            [sys.executable, "-c", JOB, kwargs],
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for answers in (found["first"], found["again"]):
        for group in range(6):
            worths = [(group + session) % 5 for session in range(4)]
            right = [[pytest.approx(sum(w > other for other in worths) / 3), 0.0] for w in worths]
            assert answers[0][2 * group : 2 * group + 2] == right[0::2]
            assert answers[1][2 * group : 2 * group + 2] == right[1::2]
    assert [code for _, code in found["lost"]] == [UnscoredReason.ERROR.code] * 2
    assert found["rest"] == [[0.0, 0.0], [1.0, 0.0]] * 2  # two of four: ranked after the wait
