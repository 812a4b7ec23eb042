"""The pictures of docs/looking_at_a_run.md and docs/wrong_reward.md: `awpo view` in a headless Chromium, `awpo summary`.

    python docs/screenshots.py outputs/cpu/runs/NAME     # a run of recipes/run_awpo_cpu.sh

Groups and a rollout are of that run, the rest of the made-up runs of `awpo view --demo`.
Needs chromium and chromedriver (`apt-get install chromium chromium-driver`) and the extra `dev`.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from awpo_ext.explorer.demo import write_demo_runs
from awpo_ext.reports.run_figure import plot
from awpo_ext.reports.run_files import read_runs

IMAGES = Path(__file__).parent / "images"
PRESS_J = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}))"
OPENED = "return document.querySelector('article.rollout')"
# File -> address, theme, a script to run, and what must be there before the picture is taken.
OF_RUN = {
    "explorer_groups": ("#/steps?step=1", "dark", "", "return document.querySelectorAll('.group').length"),
    "explorer_rollout": ("#/rollouts?reason=wrong_value&sort=advantage", "light", PRESS_J, OPENED),
}
OF_DEMO = {
    "explorer_runs": ("#/runs", "light", "", "return document.querySelectorAll('.uplot').length > 6"),
    "wrong_dialect": ("#/rollouts?run=suspect+A&f=unparseable", "light", PRESS_J, OPENED),
    "wrong_judge": ("#/rollouts?run=suspect+B&f=unscored", "light", PRESS_J, OPENED),
    "wrong_data": (
        "#/rollouts?run=suspect+C&f=null_truth&reason=missing_argument&sort=outcome",
        "light",
        PRESS_J,
        OPENED,
    ),
}
SCROLLED = {"wrong_judge": "judge"}


def main(run: str) -> None:
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1360,900", "--hide-scrollbars"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        take(driver, [run], OF_RUN)
        take(driver, ["--demo"], OF_DEMO)
    finally:
        driver.quit()
    with TemporaryDirectory() as folder:
        runs = read_runs([str(one) for one in write_demo_runs(Path(folder))])
        plot(runs, IMAGES / "summary.png")


def take(driver: webdriver.Chrome, arguments: list[str], shots: dict[str, tuple[str, str, str, str]]) -> None:
    command = [sys.executable, "-m", "awpo_ext", "view", *arguments, "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        base = re.search(r"http://\S+", server.stdout.readline())[0]
        for name, (address, theme, script, ready) in shots.items():
            media = [{"name": "prefers-color-scheme", "value": theme}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
            driver.get("about:blank")
            driver.get(base + address)
            WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return document.body.dataset.read"))
            driver.execute_script(script)
            WebDriverWait(driver, 60).until(lambda _, ready=ready: driver.execute_script(ready))
            if name in SCROLLED:
                driver.execute_script("document.getElementById(arguments[0]).scrollIntoView()", SCROLLED[name])
            driver.save_screenshot(str(IMAGES / f"{name}.png"))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
