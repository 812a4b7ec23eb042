"""From verl's batch to a record: each rollout once, validation too, and nothing that goes wrong reaches training."""

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.clipping import clip_radius
from awpo_ext.config import AwpoConfig
from awpo_ext.record import open_record
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.recompute import check
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver import recording
from awpo_ext.verl_plugin.driver.estimator import compute_awpo_advantage, step_channel
from awpo_ext.verl_plugin.driver.run_checks import record_options
from tests.awpo_ext.verl_plugin.test_channel import ROWS, reward_info, verls_inputs

CONFIG = AwpoConfig()
TOKENIZER = SimpleNamespace(decode=lambda ids, skip_special_tokens: f"text of {ids.tolist()}")


@pytest.fixture
def batch(monkeypatch):
    fields = {
        "extra_fields": {key: {"reward_extra_info": reward_info(reasoning)} for key, (_, reasoning) in ROWS.items()},
        "rm_scores": {key: torch.tensor([0.0, outcome]) for key, (outcome, _) in ROWS.items()},
        "responses": {key: torch.tensor([number]) for number, key in enumerate(ROWS)},
        "raw_prompt": {key: [{"role": "user", "content": key[0]}] for key in ROWS},
        "reward_model": {key: {"ground_truth": "truth"} for key in ROWS},
        "extra_info": {key: {"question": key[0]} for key in ROWS},
    }  # no data_source: a field that verl does not have is left out

    def get(keys, partition_id, select_fields):
        return {name: [fields[name][key] for key in keys] for name in select_fields if name in fields}

    queue = SimpleNamespace(kv_batch_get=get)
    monkeypatch.setattr(plane, "tq", queue)
    monkeypatch.setattr(recording, "tq", queue)
    tags = [{"is_padding": key.startswith("pad"), "response_len": 1, "prompt_len": 2} for key in ROWS]
    return SimpleNamespace(keys=list(ROWS), tags=tags, partition_id="train", fields=fields)


def recorder(folder, **options):
    config = OmegaConf.create(
        {
            "trainer": {"default_local_dir": str(folder), "experiment_name": "name"},
            "data": {"train_files": "none.parquet", "val_files": ["none.parquet"]},
            "reward": {"custom_reward_function": {"path": "mine.py", "reward_kwargs": {"api_key": "sk-123456789"}}},
        }
    )
    made = recording.RunRecorder(config, CONFIG, RecordOptions(**options))
    made.start(0)
    return made


def updated(batch, made, step=1):
    rewards, mask = verls_inputs()
    channel = plane.build_channel(batch, CONFIG, False)
    channel.reliability = ReliabilityState()
    with step_channel(channel):
        compute_awpo_advantage(rewards, mask)
    radius = plane.radius_of_rollouts(clip_radius(channel.result.gate, CONFIG), channel)
    return made.update(batch, channel, radius, (step, 0), TOKENIZER)


def test_an_update_is_recorded_and_replays(batch, tmp_path):
    made = recorder(tmp_path)
    assert updated(batch, made)["awpo/record/seconds"] < 60
    made.metrics(1, {"loss": 0.5})
    made.close()
    record = open_record(tmp_path)
    rows = list(record.rows())
    assert [row["key"] for row in rows] == ["a_0_1", "b_0_0", "a_1_0", "b_1_0", "b_2_0"]
    assert rows[0]["outputs"] == 2 and rows[0]["tokens"] == 6 and rows[0]["response"] == "text of [1]"
    assert [row["outcome"] for row in rows] == [1.0, 0.0, 2.0, 3.0, 1.0]
    assert rows[3]["reasoning"] is None and rows[3]["failure"] == "untold"
    assert rows[1]["question"] == "b" and rows[1]["data_source"] == ""
    assert check(record).difference < 1e-6 and record.metrics() == {1: {"loss": 0.5}}
    assert "sk-123456789" not in (record.folder / "run.json").read_text()


def test_a_validation_is_recorded_before_verl_clears_it(batch, tmp_path):
    made = recorder(tmp_path)

    class Buffer:
        def sample(self, **kwargs):
            return batch, {}

    buffer = Buffer()
    with made.validation(buffer, 0, TOKENIZER):
        assert buffer.sample(partition_id="val")[0] is batch
        buffer.sample(partition_id="val")
    assert buffer.sample.__func__ is Buffer.sample
    made.close()
    table = open_record(tmp_path).rollouts(phase="validation")
    assert table.column("batch").to_pylist() == [0] * 5 + [1] * 5
    assert table.column("outcome").to_pylist()[:3] == [1.0, 0.0, 2.0] and table.column("advantage").null_count == 10


def test_what_goes_wrong_stays_out_of_training(batch, tmp_path, caplog):
    made = recorder(tmp_path)
    batch.tags = None
    channel = SimpleNamespace(reliability=None)
    assert made.update(batch, channel, None, (1, 0), TOKENIZER) == {}
    assert caplog.text.count("NO LONGER RECORDED") == 1
    made.metrics(1, {"loss": 1.0})
    made.flush()
    made.close()


def test_off_is_off(batch, tmp_path):
    made = recorder(tmp_path, enable=False)
    assert updated(batch, made) == {}
    made.close()
    assert not list(tmp_path.iterdir())


def test_a_bad_key_is_named_before_the_run():
    config = OmegaConf.create({"algorithm": {"awpo": {"record": {"pth": "x"}}}})
    with pytest.raises(AwpoSetupError, match=r"algorithm.awpo.record: unknown key 'pth'.*did you mean 'path'"):
        record_options(config)
    assert record_options(OmegaConf.create({"algorithm": {"awpo": {"record": True}}})).enable
    assert not record_options(OmegaConf.create({"algorithm": {}})).enable
