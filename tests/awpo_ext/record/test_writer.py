"""The writer: resumed runs, full disks, second writers, limits, secrets. Training is never stopped by it."""

import json
import logging
import os
import threading

import pytest

from awpo_ext.record import open_record
from awpo_ext.record.options import RecordOptions
from awpo_ext.record.parts import PartKey
from awpo_ext.record.run_info import HIDDEN, Secrets, start_of
from awpo_ext.record.writer import WAITING, RecordWriter

ROW = {"group": "g", "session": 0, "key": "g_0_0", "outcome": 1.0, "has_text": True, "cut": False}
GROUP = {"group": "g", "size": 1}
SECRETS = Secrets({})


def started(folder, step=0, **options):
    writer = RecordWriter(folder, RecordOptions(**options), SECRETS)
    writer.start(start_of(step, {"gate": "ratio"}, {}, [], SECRETS), "run", {})
    return writer


def rows(outcome=1.0, text=""):
    return lambda: ([{**ROW, "outcome": outcome, "response": text}], [GROUP])


def record_steps(writer, steps, outcome=1.0, text=""):
    for step in steps:
        writer.put_part(PartKey(step), None, rows(outcome, text))
        writer.put_metrics(step, {"loss": outcome, "name": "x", "bad": float("nan")})
        writer.flush()


def test_a_run_and_its_resumption_leave_no_double_and_no_hole(tmp_path):
    writer = started(tmp_path)
    record_steps(writer, range(1, 6), outcome=1.0)
    os.close(writer._lock)  # as kill -9 does
    (tmp_path / "rollouts" / "step_000006.train.00.parquet.1.part").write_bytes(b"half")
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "me')
    writer = started(tmp_path, step=3)
    record = open_record(tmp_path)
    assert record.steps() == [1, 2, 3] and list(record.metrics()) == [1, 2, 3]
    record_steps(writer, range(4, 8), outcome=2.0)
    writer.close()
    assert record.rollouts().column("outcome").to_pylist() == [1.0] * 3 + [2.0] * 4
    assert record.metrics()[5] == {"loss": 2.0} and list(record.metrics()) == list(range(1, 8))
    starts = open_record(tmp_path).run["starts"]
    assert [start["step"] for start in starts] == [0, 3]
    assert [part.info().attempt for part in record.parts()] == [0, 0, 0, 1, 1, 1, 1]
    assert len(list((tmp_path / "replaced" / "rollouts").iterdir())) == 2  # steps 4 and 5: nothing is lost
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_ends_the_recording_with_one_line(tmp_path, caplog, monkeypatch):
    writer = started(tmp_path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("awpo_ext.record.writer.write_part", full)
    with caplog.at_level(logging.ERROR):
        record_steps(writer, [1, 2, 3])
        writer.close()
    assert writer.off
    (line,) = [entry.message for entry in caplog.records if "NO LONGER RECORDED" in entry.message]
    assert "No space left" in line and "record.enable=false" in line


def test_two_writers(tmp_path, caplog):
    first, second = started(tmp_path), started(tmp_path)
    assert second.off and not first.off
    assert "another run writes there" in caplog.text
    record_steps(first, [1])
    record_steps(second, [1, 2])
    first.close()
    second.close()
    assert open_record(tmp_path).steps() == [1]
    again = started(tmp_path, step=1)
    assert not again.off
    again.close()


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path, caplog):
    (tmp_path / "run.json").write_text('{"format": "other"}')
    assert started(tmp_path).off
    assert (
        "is not a record of this awpo-ext" in caplog.text
        and (tmp_path / "run.json").read_text() == '{"format": "other"}'
    )


def test_a_slow_disk_delays_nobody(tmp_path, caplog):
    writer, gate = started(tmp_path), threading.Event()
    writer._put(gate.wait)
    for step in range(1, WAITING + 5):
        writer.put_part(PartKey(step), None, rows())
    assert writer.left_out >= 4
    gate.set()
    writer.close()
    assert f"{writer.left_out} parts are not in the record" in caplog.text
    assert len(open_record(tmp_path).steps()) == WAITING + 4 - writer.left_out


def test_the_oldest_parts_go_first(tmp_path):
    writer = started(tmp_path, max_gb=0.001)
    record_steps(writer, range(1, 9), text=os.urandom(150_000).hex())
    writer.close()
    kept = open_record(tmp_path).steps()
    assert kept == list(range(kept[0], 9)) and 1 < kept[0] < 8
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.parquet")) < 1_000_000


def test_secrets_are_not_written(tmp_path):
    secrets = Secrets(
        {"OPENAI_API_KEY": "sk-1234567890", "HF_TOKEN": "hf_abcdefgh", "HOME": "/home/nobody", "A_KEY": "x"}
    )
    config = {
        "judge_kwargs": {"api_key_env": "OPENAI_API_KEY", "api_key": "plain", "base_url": "http://u:pw@host/v1"},
        "headers": ["Bearer sk-1234567890"],
        "max_tokens": 5,
        "reasoning_key": ["reasoning"],
        "path": "/home/nobody/hf_abcdefgh",
    }
    shown = json.dumps(secrets.clean(config))
    assert not any(secret in shown for secret in ("sk-12", "hf_abc", "plain", "u:pw"))
    clean = secrets.clean(config)
    assert clean["judge_kwargs"] == {
        "api_key_env": "OPENAI_API_KEY", "api_key": HIDDEN, "base_url": f"http://{HIDDEN}@host/v1"
    }  # fmt: skip
    assert clean["max_tokens"] == 5 and clean["reasoning_key"] == ["reasoning"]
    assert clean["path"] == f"/home/nobody/{HIDDEN}"


def test_hashes_name_what_a_run_depends_on(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")

    def digest():
        return start_of(0, {}, {}, [tmp_path / "data", tmp_path / "absent"], SECRETS)["hashes"]

    before = digest()
    assert list(before) == [str(tmp_path / "data")]
    (tmp_path / "data" / "a.txt").write_text("b")
    assert digest() != before


@pytest.mark.parametrize(
    ("section", "enabled"), [(None, False), (False, False), (True, True), ({}, True), ({"enable": False}, False)]
)
def test_one_key_turns_it_off(section, enabled):
    assert RecordOptions.from_section(section).enable is enabled


def test_bad_options_are_named():
    with pytest.raises(ValueError, match=r"algorithm.awpo.record: unknown key 'txt_share'.*did you mean 'text_share'"):
        RecordOptions.from_section({"txt_share": 1})
    with pytest.raises(ValueError, match=r"text_share=2 must be a number in \[0.0, 1.0\]"):
        RecordOptions.from_section({"text_share": 2})
    with pytest.raises(ValueError, match="must be true, false, or keys"):
        RecordOptions.from_section("yes")


def test_texts_are_kept_of_about_the_share():
    half = RecordOptions(text_share=0.5)
    assert 400 < sum(half.keeps_text(f"uid{i}") for i in range(1000)) < 600
    assert RecordOptions().keeps_text("any") and not RecordOptions(text_share=0.0).keeps_text("any")


def test_a_configuration_is_kept_without_keys_and_queries():
    secrets = Secrets({"MY_JUDGE": "sk-verysecret", "OTHER": "visible-value"}, variables=["MY_JUDGE"])
    given = {
        "files": ["https://host/data.parquet?X-Amz-Signature=abc&x=1#part", "a?b=c"],
        "note": "sk-verysecret visible-value",
    }
    assert secrets.clean(given) == {
        "files": ["https://host/data.parquet?(hidden)#part", "a?b=c"],
        "note": "(hidden) visible-value",
    }
