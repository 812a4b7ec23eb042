"""The guard in the driver: it reads verl's batch, acts on alarms, comes back from a checkpoint, and never disturbs the run."""

import json

import pytest
from omegaconf import OmegaConf

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.config import AwpoConfig
from awpo_ext.guard.alarms import Alarm
from awpo_ext.guard.options import GuardOptions
from awpo_ext.record import open_record
from awpo_ext.record.recompute import check
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver import guarding
from awpo_ext.verl_plugin.driver.estimator import compute_awpo_advantage, step_channel
from awpo_ext.verl_plugin.driver.guarding import GuardStopError, RunGuard
from awpo_ext.verl_plugin.driver.run_checks import check_guard, guard_options
from awpo_ext.verl_plugin.driver.state import load_guard, load_state, save_state
from tests.awpo_ext.verl_plugin.test_channel import verls_inputs
from tests.awpo_ext.verl_plugin.test_recording import CONFIG, TOKENIZER, batch, recorder  # noqa: F401  (a fixture)

ALARM = Alarm("gap", 9, 7, 0.1, 0.4)


@pytest.fixture
def queue(batch, monkeypatch):  # noqa: F811
    monkeypatch.setattr(guarding, "tq", plane.tq)
    return batch


def computed(queue, method):
    channel = plane.build_channel(queue, method, False)
    channel.reliability = ReliabilityState()
    with step_channel(channel):
        compute_awpo_advantage(*verls_inputs())
    return channel


def guard(**options) -> RunGuard:
    return RunGuard(GuardOptions(**options), CONFIG, "outputs/mine")


def alarmed(made, monkeypatch, alarm=ALARM):
    """A step in which the guard raises `alarm`."""
    monkeypatch.setattr(made._guard, "observe", lambda step, values, holds={}: [alarm] if values else [])
    monkeypatch.setattr(guarding, "opinion_values", lambda opinions: {"second": (0.5, 20.0)})
    return made.end_step(9)


def test_an_update_is_measured(queue):
    made = guard()
    made.update(queue, computed(queue, CONFIG), 1, TOKENIZER)
    metrics = made.end_step(1)
    made.close()
    assert metrics["awpo/alarm/count"] == 0.0 and metrics["awpo/alarm/value/unscored"] == 0.2
    assert {"awpo/alarm/value/gap", "awpo/alarm/value/template", "awpo/alarm/evidence/gate_shut"} <= set(metrics)
    assert made.end_step(2)["awpo/alarm/count"] == 0.0  # a step without an update


def test_an_alarm_is_one_line_and_does_nothing_more_by_default(queue, monkeypatch, caplog):
    made = guard()
    metrics = alarmed(made, monkeypatch)
    assert caplog.text.count("awpo-ext: ALARM gap: ") == 1 and "awpo view outputs/mine" in caplog.text
    assert metrics["awpo/alarm/since/gap"] == 7.0 and made.method is CONFIG
    made.begin_step()


def test_halve_lambda_halves_each_time(monkeypatch):
    made = guard(action="halve_lambda")
    alarmed(made, monkeypatch)
    assert alarmed(made, monkeypatch)["awpo/alarm/judge_share"] == 0.25
    assert made.method.reasoning_weight == (0.25,) and CONFIG.reasoning_weight == (1.0,)


def test_close_gate_takes_the_judges_say(queue, monkeypatch):
    made = guard(action="close_gate")
    assert not computed(queue, made.method).result.judge_part.eq(0).all()
    alarmed(made, monkeypatch)
    assert made.method.gate == "none" and computed(queue, made.method).result.judge_part.eq(0).all()


def test_close_gate_goes_with_every_preset(monkeypatch):
    from awpo_ext.config import PRESETS

    for preset in PRESETS:
        made = RunGuard(GuardOptions(action="close_gate"), AwpoConfig.from_mapping({"preset": preset}), None)
        alarmed(made, monkeypatch)
        assert made.method.gate == "none"


def test_stop_ends_the_run_before_its_next_step(monkeypatch):
    made = guard(action="stop")
    alarmed(made, monkeypatch)
    with pytest.raises(GuardStopError, match=r"ALARM gap.*action=stop ends the run"):
        made.begin_step()


@pytest.mark.parametrize("action", ["halve_lambda", "close_gate", "stop"])
def test_an_alarm_that_is_not_about_the_judge_is_only_said(action, monkeypatch):
    made = guard(action=action)
    alarmed(made, monkeypatch, Alarm("unparseable", 9, 7, 0.0, 0.5))
    made.begin_step()
    assert made.method is CONFIG


def test_a_defect_ends_the_watch_and_not_the_run(queue, caplog):
    made = guard()
    channel = computed(queue, CONFIG)
    queue.keys = None
    made.update(queue, channel, 1, TOKENIZER)
    made.update(queue, channel, 2, TOKENIZER)
    assert made.end_step(1) == {} and caplog.text.count("NO LONGER WATCHED") == 1 and made.method is CONFIG


def test_a_text_that_cannot_be_read_ends_the_watch_and_not_the_run(queue, caplog):
    made = guard()
    made.update(queue, computed(queue, CONFIG), 1, None)  # no tokenizer: the thread's own defect
    assert made.end_step(1) == {} and caplog.text.count("NO LONGER WATCHED") == 1


def test_a_second_opinion_arrives_with_a_later_step(queue):
    made = guard(second={"judge": "tests.awpo_ext.guard.test_second:Mine"}, second_share=1.0)
    made.update(queue, computed(queue, CONFIG), 1, TOKENIZER)
    made._asked.exception(timeout=60)
    metrics = made.end_step(1)
    made.close()
    assert metrics["awpo/alarm/second/asked"] == 5.0 and metrics["awpo/alarm/second/mean"] == 0.25
    assert metrics["awpo/alarm/second/failed/no_first"] == 0.2


def test_off_is_off_and_other_runs_are_left_alone(queue):
    for made in (guard(enable=False), RunGuard(GuardOptions(), None, None)):
        made.update(None, None, 1, None)
        made.begin_step()
        assert made.end_step(1) == {}
        made.close()


def test_what_an_alarm_did_is_in_the_record_and_replays(queue, tmp_path, monkeypatch):
    made = guard(action="close_gate")
    alarmed(made, monkeypatch)
    writer = recorder(tmp_path)
    channel = computed(queue, made.method)
    radius = plane.radius_of_rollouts(channel.result.gate.new_tensor(CONFIG.clip_max), channel)
    writer.update(queue, channel, radius, (1, 0), TOKENIZER)
    writer.close()
    record = open_record(tmp_path)
    assert record.parts()[0].info().changed == {"gate": "none"}
    assert check(record).difference < 1e-6


def test_a_checkpoint_brings_the_guard_back(tmp_path, monkeypatch):
    config = OmegaConf.create({"trainer": {"default_local_dir": str(tmp_path), "resume_mode": "auto"}})
    made, again = guard(action="halve_lambda"), guard(action="halve_lambda")
    alarmed(made, monkeypatch)
    save_state(config, 5, ReliabilityState(), made.as_dict())
    load_guard(config, 5, again.restore)
    assert again.as_dict() == made.as_dict() and again.method.reasoning_weight == (0.5,)
    assert load_state(config, 5, CONFIG) == ReliabilityState()
    save_state(config, 6, ReliabilityState())
    load_guard(config, 6, again.restore)  # of an earlier version
    load_guard(config, 7, again.restore)
    (tmp_path / "global_step_6" / "awpo.json").write_text(json.dumps({"guard": {"halvings": 1}}))
    with pytest.raises(AwpoSetupError, match=r"awpo.json is damaged .*'guard'"):
        load_guard(config, 6, again.restore)


@pytest.mark.parametrize(("guard_keys", "method", "said"), [
    ({"acton": "log"}, {}, r"algorithm.awpo.guard: unknown key 'acton'.*did you mean 'action'"),
    ({"action": "halve_lambda"}, {"integration": "reasoning"}, "lambda has no effect; set action=close_gate"),
    ({"action": "close_gate"}, {"preset": "outcome_only"}, "the judge has no say"),
    ({"second": {"judge": "llm", "verifier": "strict"}}, {}, "one of the two"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_the_run(guard_keys, method, said):
    config = OmegaConf.create({"algorithm": {"awpo": {**method, "guard": guard_keys}}})
    with pytest.raises(AwpoSetupError, match=said):
        check_guard(config, AwpoConfig.from_mapping(method))


def test_the_guard_is_on_unless_it_is_turned_off():
    assert guard_options(OmegaConf.create({"algorithm": {}})).enable
    assert not guard_options(OmegaConf.create({"algorithm": {"awpo": {"guard": False}}})).enable


@pytest.mark.parametrize(("gate", "watched"), [
    ("none", set()), ("always", {"gate_shut", "no_say", "all_say"}), ("reliability", {"gate_open", "all_say"}),
])  # fmt: skip
def test_what_a_gate_does_by_design_is_not_watched(queue, gate, watched):
    method = AwpoConfig(gate=gate)
    made = RunGuard(GuardOptions(), method, None)
    made.update(queue, computed(queue, method), 1, TOKENIZER)
    found = {name.rpartition("/")[2] for name in made.end_step(1) if "/evidence/" in name}
    made.close()
    assert found & {"gate_shut", "gate_open", "no_say", "all_say"} <= watched and "gap" in found
