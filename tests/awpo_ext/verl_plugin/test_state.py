"""The reliability of the judge in verl's checkpoints: the same bits come back, and what is missing or damaged is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.config import AwpoConfig
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver.state import load_state, save_state


def at(folder, mode="auto", path=None):
    return OmegaConf.create(
        {"trainer": {"default_local_dir": str(folder), "resume_mode": mode, "resume_from_path": path}}
    )


@given(st.floats(-1, 1), st.floats(1e-300, 1), st.floats(0, 1e300))
def test_every_bit_comes_back(tmp_path_factory, mean, variance, groups):
    folder, state = tmp_path_factory.getbasetemp() / "state", ReliabilityState(mean, variance, groups)
    save_state(at(folder), 7, state)
    assert load_state(at(folder), 7, AwpoConfig()) == state
    named = at("elsewhere", "resume_path", str(folder / "global_step_7"))
    assert load_state(named, 7, AwpoConfig()) == state


def test_a_run_from_the_start_knows_nothing(tmp_path):
    save_state(at(tmp_path), 0, ReliabilityState(0.5, 0.1, 3.0))
    assert load_state(at(tmp_path), 0, AwpoConfig()) == ReliabilityState()


@pytest.mark.parametrize(("gate", "warns"), [("reliability", True), ("ratio", False)])
def test_a_checkpoint_without_it_is_said_where_the_gate_reads_it(tmp_path, caplog, gate, warns):
    config = AwpoConfig.from_mapping({"gate": gate})
    assert load_state(at(tmp_path), 3, config) == ReliabilityState()
    assert ("awpo.json is missing" in caplog.text) == warns


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"reliability": {"mean": NaN, "variance": 1, "groups": 0}}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "global_step_3").mkdir()
    (tmp_path / "global_step_3" / "awpo.json").write_text(text)
    with pytest.raises(AwpoSetupError, match=r"awpo\.json is damaged"):
        load_state(at(tmp_path), 3, AwpoConfig())
