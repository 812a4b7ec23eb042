"""What `import awpo_ext.cli` and `awpo --help` load and cost, and the package's public names."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import awpo_ext
import reward_models
from awpo_ext.cli.main import app
from tests.paths import ROOT

HEAVY = ("scipy", "torch", "pyarrow", "jinja2", "numpy", "transformers", "verl", "ray", "openai", "matplotlib")
HELP = "import sys; sys.argv = ['awpo', '--help']; from awpo_ext.cli.main import app; app(standalone_mode=False)"


def processor_seconds(program: str, runs: int = 3) -> float:
    """The least of some runs of a Python program: other work on the machine only adds to it."""
    seconds = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def test_the_command_line_and_the_packages_load_nothing_heavy():
    program = f"{HELP}\nimport reward_models\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_help_costs_little_more_than_typer_and_rich():
    """About twice as much; six times is where a heavy import has crept in (scipy and torch made it fifteen times)."""
    assert processor_seconds(HELP) < 6 * processor_seconds("import typer, rich")


@pytest.mark.parametrize("package", [awpo_ext, reward_models])
def test_public_names_are_there_and_typed(package):
    assert {name for name in package.__all__ if not hasattr(package, name)} == set()
    assert set(package.__all__) <= set(dir(package))
    assert (Path(package.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


def test_the_version_is_one():
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)[1]
    shown = subprocess.run([sys.executable, "-m", "awpo_ext", "--version"], capture_output=True, text=True, timeout=60)
    assert shown.stdout == f"awpo-ext {awpo_ext.__version__}\n" and awpo_ext.__version__ == cited


def test_a_judge_in_the_current_folder_is_found(tmp_path):
    """By the installed command, whose own folder is first on sys.path, not the current one."""
    (tmp_path / "mine.py").write_text(
        "from reward_models.judges import JudgeNotReadyError\nfrom reward_models.judges.none import NoneJudge\n"
        "class Mine(NoneJudge):\n    def check(self):\n        raise JudgeNotReadyError('mine was found')\n"
    )
    (tmp_path / "rollout.json").write_text('{"response": "<think>a</think>hi"}')
    script = tmp_path / "bin" / "awpo"
    script.parent.mkdir()
    script.write_text("from awpo_ext.cli.main import app\napp()\n")
    command = [sys.executable, script, "judge", "try", "--judge", "mine:Mine", "--file", "rollout.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, env=environment)
    assert done.returncode == 1 and done.stderr == "error: mine was found\n"


def test_a_mistake_is_a_message_and_a_bug_keeps_its_traceback(monkeypatch, tmp_path):
    from awpo_ext.reports import run_files

    file = tmp_path / "none.jsonl"
    assert CliRunner().invoke(app, ["summary", str(file)]).output.startswith(f"error: {file}")
    monkeypatch.setenv("AWPO_TRACEBACK", "1")
    assert "none.jsonl" in str(CliRunner().invoke(app, ["summary", str(file)]).exception)
    monkeypatch.delenv("AWPO_TRACEBACK")
    monkeypatch.setattr(run_files, "read_runs", lambda paths: __import__("json").loads("{"))
    assert type(CliRunner().invoke(app, ["summary", str(file)]).exception).__name__ == "JSONDecodeError"
