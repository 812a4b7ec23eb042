"""The packages for GPUs: what the extra asks for is pinned, and the container copies what is there."""

import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.paths import RECIPES, ROOT
from tests.project import EXTRAS, PROJECT


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def test_what_the_extra_asks_for_is_pinned_within_its_bounds():
    pins: dict[str, list[Version]] = {}
    for pin in requirements((RECIPES / "gpu" / "constraints.txt").read_text()):
        (only,) = pin.specifier
        assert only.operator == "==" and pin.url is None
        pins.setdefault(canonicalize_name(pin.name), []).append(Version(only.version))
    ours = [need for extra in ("gpu", "embedding", "judge", "plot") for need in EXTRAS[extra]]
    wanted = [Requirement(need) for need in PROJECT["dependencies"] + ours if not need.startswith("awpo-ext")]
    assert len(wanted) > 9
    for one in wanted:
        assert all(version in one.specifier for version in pins[canonicalize_name(one.name)]), one


def test_the_container_copies_what_is_there():
    copied = re.findall(r"^COPY (.*) \S+$", (RECIPES / "gpu" / "Dockerfile").read_text(), re.M)
    assert [path for line in copied for path in line.split() if not (ROOT / path).exists()] == []
    assert {"awpo_ext", "reward_models", "recipes", "docs"} <= set(" ".join(copied).split())
