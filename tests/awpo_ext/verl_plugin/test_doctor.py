"""`awpo doctor`: which reward columns arrive, before anything is trained."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reward_models.sandbox import lockdown

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.verl_plugin.doctor import reward_columns, shadowed, versions
from tests.paths import E2E


@pytest.fixture
def overrides(tmp_path):
    row = {
        "data_source": "sums",
        "prompt": [{"role": "user", "content": "2 + 2?"}],
        "reward_model": {"style": "rule", "ground_truth": "<response>4</response>"},
        "extra_info": {"index": 0},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train.parquet")
    return [
        f"data.train_files={tmp_path}/train.parquet",
        f"reward.custom_reward_function.path={E2E}/hashed_reward.py",
        "reward.custom_reward_function.name=compute_score",
    ]


def test_all_columns_of_several_signals_arrive(overrides):
    section = reward_columns([*overrides, "+algorithm.awpo.reasoning_key=[reasoning,grounding]"])
    assert section.problems == []
    assert {"score", "reasoning", "grounding_valid"} <= {name for name, _ in section.facts}


def test_a_column_that_does_not_arrive_is_named(overrides):
    section = reward_columns([*overrides, "+algorithm.awpo.reasoning_key=[reasoning,style]"])
    assert [problem.split(";")[0] for problem in section.problems] == [
        "column 'style' does not arrive",
        "column 'style_valid' does not arrive",
    ]


def test_the_report_says_how_tools_are_confined(monkeypatch):
    assert dict(versions().facts)["sandbox of tools"] == lockdown.confinement()
    monkeypatch.setattr(lockdown, "landlock_version", lambda: 0)
    assert "require_landlock=false" in dict(versions().facts)["sandbox of tools"]


def test_a_package_of_the_user_that_hides_ours_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shadowed() == []
    (tmp_path / "reward_models").mkdir()
    assert shadowed() == []  # a folder without __init__.py comes after any package
    (tmp_path / "reward_models" / "__init__.py").touch()
    (problem,) = shadowed()
    assert f"{tmp_path}/reward_models/__init__.py hides" in problem
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert len(shadowed()) == 1
