"""The judge's client beside a raw aiohttp loop and a default AsyncOpenAI client: python benchmarks/judge_client.py --ray

A mock server on 127.0.0.1, in a process of its own, answers after a set latency. Prints a table; never a test.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import aiohttp
from openai import AsyncOpenAI

from reward_models.llm_client import ChatAnswer, ChatClient, ChatRequest, ClientConfig

SERVER = Path(__file__).resolve().parents[1] / "tests" / "reward_models" / "faulty_server.py"
MODEL, PROMPT_CHARS, MAX_TOKENS = "grader", 4000, 64


@contextmanager
def serve(latency_s: float):
    command = [sys.executable, str(SERVER), "--latency", str(latency_s)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def prompts(count: int) -> list[str]:
    tag = os.urandom(4).hex()
    return [f"{tag} {i} ".ljust(PROMPT_CHARS, "x") for i in range(count)]


async def raw(url: str, count: int, in_flight: int) -> None:
    """The least that a program can do: one session, one semaphore, no checks."""
    turns = asyncio.Semaphore(in_flight)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def one(prompt: str) -> str:
            body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": MAX_TOKENS}
            async with turns, session.post(url + "/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        await asyncio.gather(*(one(prompt) for prompt in prompts(count)))


async def ours(url: str, count: int, in_flight: int, **options) -> None:
    client = ChatClient(ClientConfig(url, MODEL, max_concurrency=in_flight, deadline_s=600, **options))
    requests = [ChatRequest(({"role": "user", "content": prompt},), MAX_TOKENS) for prompt in prompts(count)]
    answers = await asyncio.gather(*(client.ask(request) for request in requests))
    await client.aclose()
    assert all(isinstance(answer, ChatAnswer) for answer in answers), client.summary()


async def openai_default(url: str, count: int) -> None:
    async with AsyncOpenAI(base_url=url, api_key="none") as client:

        async def one(prompt: str) -> str | None:
            messages = [{"role": "user", "content": prompt}]
            answer = await client.chat.completions.create(model=MODEL, messages=messages, max_tokens=MAX_TOKENS)
            return answer.choices[0].message.content

        await asyncio.gather(*(one(prompt) for prompt in prompts(count)))


def measure(calls: dict, repeats: int) -> dict[str, tuple[float, float]]:
    """name -> median (wall seconds, CPU seconds of this process), taken in turns after one round not counted."""
    times = {name: [] for name in calls}
    for round_number in range(repeats + 1):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            asyncio.run(call())
            if round_number:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: tuple(median(column) for column in zip(*rows, strict=True)) for name, rows in times.items()}


def show(title: str, count: int, times: dict[str, tuple[float, float]]) -> None:
    print(f"\n{title}")
    print(f"{'':38s} {'wall s':>8s} {'calls/s':>9s} {'CPU ms/call':>12s}")
    for name, (wall, cpu) in times.items():
        print(f"{name:38s} {wall:8.2f} {count / wall:9.0f} {1e3 * cpu / count:12.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, default=1.0, help="of the server, in seconds")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ray", action="store_true", help="again in a Ray job, as in training")
    args = parser.parse_args()
    print(f"prompts of {PROMPT_CHARS} characters, median of {args.repeats}, load average {os.getloadavg()[0]:.1f}")

    compare(args, "without Ray")
    if args.ray:
        import ray

        from reward_models.llm_client.step_stats import StepCollector

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        collector = StepCollector()  # as a trainer does: from now on calls are reported, and limits are the job's
        collector.begin()
        compare(args, "in a Ray job: limits and step totals by actors")
        print(f"gathered by the steps' actor: {collector.collect(1)[0]['calls']:.0f} calls")
        ray.shutdown()


def compare(args: argparse.Namespace, where: str) -> None:
    print(f"\n=== {where}; load average {os.getloadavg()[0]:.1f} ===")
    with serve(args.latency) as url:
        count = 2048
        calls = {"raw aiohttp": lambda: raw(url, count, 512), "judge client": lambda: ours(url, count, 512)}
        times = measure(calls, args.repeats)
        show(f"512 in flight, {count} requests, server latency {args.latency} s", count, times)
        ratio = times["raw aiohttp"][0] / times["judge client"][0]
        print(f"throughput against the raw loop: {ratio:.3f} (target >= 0.95)")

        count = 2000
        calls = {
            "AsyncOpenAI (at most 1000 in flight)": lambda: openai_default(url, count),
            "judge client, 1000 in flight": lambda: ours(url, count, 1000),
        }
        times = measure(calls, args.repeats)
        show(f"{count} requests queued at once, server latency {args.latency} s", count, times)
        ratio = times["AsyncOpenAI (at most 1000 in flight)"][0] / times["judge client, 1000 in flight"][0]
        print(f"throughput against AsyncOpenAI: {ratio:.2f} (target >= 2)")

    with serve(0.0) as url, tempfile.TemporaryDirectory() as folder:
        count = 2000
        options = {"cache_dir": folder, "ledger": f"{folder}/ledger.jsonl", "requests_per_minute": 1e8}
        calls = {
            "raw aiohttp": lambda: raw(url, count, 64),
            "judge client": lambda: ours(url, count, 64),
            "judge client, cache, ledger and rates": lambda: ours(url, count, 64, **options),
        }
        times = measure(calls, args.repeats)
        show(f"64 in flight, {count} requests, no latency: what a call costs", count, times)
        for name in list(times)[1:]:
            overhead = 1e3 * (times[name][1] - times["raw aiohttp"][1]) / count
            print(f"{name}: {overhead:.3f} ms of CPU a call over the raw loop (target < 1)")


if __name__ == "__main__":
    main()
