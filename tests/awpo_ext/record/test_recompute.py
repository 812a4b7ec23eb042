"""What a record holds is enough: the method run again on it gives the same numbers, whatever the configuration."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from awpo_ext.config import AwpoConfig, AwpoConfigError
from awpo_ext.record import RecordError, open_record
from awpo_ext.record.parts import PartInfo
from awpo_ext.record.recompute import check, compute, config_of, leverage_of, update_of
from tests.awpo_ext.batches import configs
from tests.awpo_ext.record.made_up import made_up_record


@given(configs(signals=2))
def test_any_configuration_replays(tmp_path_factory, config):
    record = open_record(made_up_record(tmp_path_factory.mktemp("r"), steps=2, groups=2, size=3, config=config))
    checked = check(record)
    assert (checked.parts, checked.rollouts) == (2, 12)
    assert checked.difference < 1e-6


def test_a_number_that_was_changed_is_found(tmp_path):
    record = open_record(made_up_record(tmp_path, steps=1))
    path = record.parts()[0].path("rollouts")
    table = pq.read_table(path)
    changed = table.column("outcome").to_pylist()
    changed[0] += 0.5
    place = table.schema.get_field_index("outcome")
    pq.write_table(table.set_column(place, table.schema.field(place), [changed]), path)
    assert check(record).difference > 1e-3


def test_another_configuration_gives_other_numbers(tmp_path):
    record = open_record(made_up_record(tmp_path, steps=1, validation=False))
    (part,) = record.parts()
    update = update_of(record.table("rollouts", [part]), part.info().reliability)
    config = config_of(record, PartInfo())
    as_it_was, alone = compute(update, config), compute(update, AwpoConfig(gate="none"))
    assert not np.allclose(as_it_was.advantage, alone.advantage)
    assert np.all(alone.values["judge_part"] == 0)
    assert leverage_of(alone.values["judge_part"], alone.values["outcome_part"]) == 0.0


def test_what_does_not_fit_is_named(tmp_path):
    record = open_record(made_up_record(tmp_path, steps=1))
    update = update_of(record.table("rollouts", record.parts()), None)
    with pytest.raises(RecordError, match="no signal 'style'; signals: reasoning"):
        compute(update, AwpoConfig(reasoning_key=("style",)))
    with pytest.raises(RecordError, match="no start number 3"):
        config_of(record, PartInfo(attempt=3))
    head = record.folder / "run.json"
    changed = json.loads(head.read_text())
    changed["starts"][0]["awpo"]["key_of_tomorrow"] = 1
    head.write_text(json.dumps(changed))
    with pytest.raises(AwpoConfigError, match="key_of_tomorrow"):
        check(open_record(record.folder))
