"""How fast the explorer is on a long run: first screen, filters, search and one rollout, in a headless Chromium.

    python benchmarks/explorer.py --rollouts 100000

The record is one made-up step of 512 rollouts, written again and again under other keys. Needs chromium and chromedriver
(`apt-get install chromium chromium-driver`) and the extra `dev`. Times are the best of `--repeats`, the server's first
reading of the record aside, which happens once. The last column divides them by how much slower other processes made
the machine.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from selenium import webdriver

from awpo_ext.explorer.demo import DemoRun, write_demo_run
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.reader import open_record

SIZE, GROUPS = 8, 64
FILTERS = (
    "f=judge_high",
    "f=unparseable&sort=advantage",
    "sort=gap",
    "reason=exact&f=judge_low",
    "from=10&to=90&sort=judge",
)


def write_long_run(folder: Path, rollouts: int) -> Path:
    write_demo_run(folder, DemoRun("long", steps=1, groups=GROUPS, size=SIZE, null_share=0.1))
    record = open_record(folder)
    rows, groups = record.rollouts().to_pylist(), record.groups().to_pylist()
    (metrics,) = (record.folder / "metrics.jsonl").read_text().splitlines()
    rng = np.random.default_rng(0)
    with open(record.folder / "metrics.jsonl", "w") as file:
        for step in range(1, 1 + max(1, round(rollouts / len(rows)))):
            own = [{**row, "group": f"{step}-{row['group']}", "advantage": float(rng.normal())} for row in rows]
            write_part(
                record.folder,
                PartKey(step),
                PartInfo(),
                own,
                [{**group, "group": f"{step}-{group['group']}"} for group in groups],
            )
            file.write(metrics.replace('"step": 1,', f'"step": {step},') + "\n")
    return folder


def measure(base: str, repeats: int) -> list[tuple[str, float]]:
    """(what, ms)."""
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,950"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(120)
    try:
        found = [("first screen, the server's first reading included", first_screen(driver, base))]
        found.append(("first screen again", best(repeats, lambda: first_screen(driver, base))))
        driver.get(f"{base}#/rollouts")
        driver.execute_async_script(READY, "return Boolean(document.querySelector('.rollouts'))")
        for address in FILTERS:
            found.append((f"filter {address}", best(repeats, lambda to=address: go(driver, to))))
        found.append(("one rollout", best(repeats, lambda: one_rollout(driver))))
        found.append(("text search over all rollouts", best(repeats, lambda: go(driver, f"q=Kyoto {time.time()}"))))
        return found
    finally:
        driver.quit()


# Calls back with the milliseconds until a condition holds and the browser has painted it.
READY = """
const [condition, done] = [new Function(arguments[0]), arguments[1]];
const wait = () => (condition() ? requestAnimationFrame(() => setTimeout(() => done(performance.now()))) : setTimeout(wait, 2));
wait();
"""


def first_screen(driver, base: str) -> float:
    driver.get("about:blank")
    driver.get(f"{base}#/runs")
    return driver.execute_async_script(READY, "return document.querySelectorAll('.uplot').length > 3")


def go(driver, address: str) -> float:
    """From the address to the painted list."""
    driver.execute_script("location.hash = '#/rollouts?from=1'")
    driver.execute_async_script(READY, "return true")
    began = driver.execute_script(
        "document.querySelector('.rollouts').dataset.old = 1; location.hash = '#/rollouts?' + arguments[0];"
        "return performance.now()",
        address,
    )
    return driver.execute_async_script(READY, "return !document.querySelector('.rollouts').dataset.old") - began


def one_rollout(driver) -> float:
    began = driver.execute_script(
        "document.querySelector('article.rollout')?.remove();"
        "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'})); return performance.now()"
    )
    return driver.execute_async_script(READY, "return Boolean(document.querySelector('article.rollout'))") - began


def slowdown(seconds: float = 1.0) -> float:
    """How much longer work takes than its processor time: 1 on an idle machine."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.process_time() - cpu < seconds:
        pass
    return (time.perf_counter() - wall) / (time.process_time() - cpu)


def best(repeats: int, work) -> float:
    return min(work() for _ in range(repeats))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rollouts", type=int, default=100_000)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_long_run(Path(scratch) / "long", given.rollouts)
        size = sum(file.stat().st_size for file in folder.rglob("*.parquet")) / 1e6
        print(f"{given.rollouts} rollouts in {len(open_record(folder).parts())} parts, {size:.0f} MB")
        command = [sys.executable, "-m", "awpo_ext", "view", str(folder), "--port", "0", "--no-browser"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            base = server.stdout.readline().split("run(s): ")[1].split()[0]
            before = slowdown()
            found = measure(base, given.repeats)
            factor = (before + slowdown()) / 2
            for what, ms in found:
                print(f"{what:52} {ms:6.0f} ms {ms / factor:6.0f} ms alone")
            print(f"Other processes took so much that everything was {factor:.1f} times as slow as alone.")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
