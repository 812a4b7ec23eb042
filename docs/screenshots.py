"""The pictures of docs/looking_at_a_run.md and docs/wrong_reward.md: `awpo view --demo` in a headless Chromium.

    python docs/screenshots.py

Needs chromium and chromedriver (`apt-get install chromium chromium-driver`) and the extra `dev`.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

IMAGES = Path(__file__).parent / "images"
PRESS_J = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}))"
OPENED = "return document.querySelector('article.rollout')"
# File -> address, theme, a script to run, and what must be there before the picture is taken.
SHOTS = {
    "explorer_runs": ("#/runs", "light", "", "return document.querySelectorAll('.uplot').length > 6"),
    "explorer_groups": ("#/steps?run=healthy", "dark", "", "return document.querySelectorAll('.group').length"),
    "explorer_rollout": ("#/rollouts?run=healthy&reason=wrong_value&sort=advantage", "light", PRESS_J, OPENED),
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


def main() -> None:
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1360,900", "--hide-scrollbars"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    command = [sys.executable, "-m", "awpo_ext", "view", "--demo", "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        base = re.search(r"http://\S+", server.stdout.readline())[0]
        for name, (address, theme, script, ready) in SHOTS.items():
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
        driver.quit()
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
