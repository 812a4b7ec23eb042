"""Small made-up records, a server that shows them, and a headless Chromium that looks at it."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from awpo_ext.explorer.demo import DEMO_RUNS, DemoRun, write_demo_runs


@pytest.fixture(scope="session")
def demo_folders(tmp_path_factory) -> list[Path]:
    small = tuple(
        DemoRun(run.name, run.dialect, run.broken_judge, run.null_share, 4, 4, 4, run.seed) for run in DEMO_RUNS
    )
    return write_demo_runs(tmp_path_factory.mktemp("demo"), small)


@pytest.fixture(scope="session")
def serving():
    """serving(folders) -> the address of a server that shows them; it ends with the session."""
    pytest.importorskip("starlette")
    uvicorn = pytest.importorskip("uvicorn")
    from awpo_ext.explorer.api import Explorer
    from awpo_ext.explorer.server import HOST, listen, make_app

    servers = []

    def start(folders) -> str:
        listener = listen(0)
        server = uvicorn.Server(uvicorn.Config(make_app(Explorer(folders)), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://{HOST}:{listener.getsockname()[1]}/"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(5)


@pytest.fixture(scope="session")
def chromium():
    """A selenium driver; skips, with the line to type, where there is no browser."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1500,950",
    ):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()
