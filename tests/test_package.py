"""The package as others get it: sdist and wheel, built and installed into an environment of its own.

The fast test borrows the libraries of the environment it runs in; the slow one installs them too, from the index.
"""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.paths import ROOT

pytest.importorskip("hatchling", reason="needs the extra dev")
pytest.importorskip("hatch_fancy_pypi_readme", reason="needs the extra dev")

ISOLATED = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=280, env=ISOLATED)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """The sdist, and the wheel made from it as an installer would."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", out, cwd=ROOT)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        out,
        cwd=out / sdist.name.removesuffix(".tar.gz"),
    )
    (wheel,) = out.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def environment(folder: Path) -> Path:
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    return folder / "bin"


def install(programs: Path, *what: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--python", programs / "python", "install", "-q", *what, cwd=programs)


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """`bin` of a new environment with the wheel, which finds its libraries here."""
    programs = environment(tmp_path_factory.mktemp("env") / "venv")
    (site,) = programs.parent.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    install(programs, "--no-deps", "--no-index", built["wheel"])
    return programs


def names_in(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}


def test_the_sdist_is_the_repository(built):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    ours = {name for name in tracked if not name.startswith(".")}
    if not ours:
        pytest.skip("not a git checkout")
    assert {name for name in ours if (ROOT / name).is_file()} <= names_in(built["sdist"])


def test_the_metadata_says_what_it_is(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(wheel.read(name))
    assert metadata["Author"] == "awpo-ext contributors" and metadata["License-Expression"] == "Apache-2.0"
    assert {"Repository", "Documentation", "Changelog"} <= {
        url.split(",")[0] for url in metadata.get_all("Project-URL")
    }
    links = re.findall(r"\]\(([^)]*)\)", metadata.get_payload())
    assert links and [link for link in links if not link.startswith("https://")] == []
    assert {"packaging", "typer", "torch"} <= {
        re.split(r"[^\w-]", need)[0] for need in metadata.get_all("Requires-Dist")
    }


def test_the_wheel_works_on_its_own(installed, tmp_path):
    where = run(installed / "python", "-c", "import awpo_ext, reward_models; print(awpo_ext.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert re.fullmatch(r"awpo-ext \d+\.\d+\.\d+\n", run(installed / "awpo", "--version", cwd=tmp_path))
    listed = run(installed / "awpo", "recipes", "list", cwd=tmp_path)
    assert "run_awpo_qwen3.sh" in listed and "lib.sh" not in listed and str(installed.parent) in listed
    run(installed / "awpo", "recipes", "copy", "mine", cwd=tmp_path)
    assert (tmp_path / "mine/docs/install.md").is_file() and (tmp_path / "mine/recipes/lib.sh").is_file()


def snippet() -> str:
    """The README's Python, which has to run as it is."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return code


def test_the_readme_snippet_runs(installed, tmp_path):
    run(installed / "python", "-c", snippet(), cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_empty_environment(kind, built, tmp_path):
    """Installs torch and all else; takes minutes. `awpo doctor` then names verl as what is missing, and how to get it."""
    programs = environment(tmp_path / "venv")
    install(programs, built[kind])
    assert run(programs / "awpo", "--version", cwd=tmp_path).startswith("awpo-ext ")
    run(programs / "python", "-c", snippet(), cwd=tmp_path)
    doctor = subprocess.run([programs / "awpo", "doctor"], cwd=tmp_path, capture_output=True, text=True, env=ISOLATED)
    assert doctor.returncode == 1 and "verl is not installed: pip install -e '.[gpu]'" in doctor.stdout, doctor.stderr
