"""Tables of example rollouts in verl's loggers: what each gets, and that none of them can stop training."""

import json
import sys
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

pytest.importorskip("verl", reason="needs the CPU stack: recipes/cpu/setup_env.sh")

from awpo_ext.clipping import clip_radius
from awpo_ext.record.examples import COLUMNS, ExampleOptions
from awpo_ext.reliability import ReliabilityState
from awpo_ext.verl_plugin.compat import AwpoSetupError
from awpo_ext.verl_plugin.driver import channel as plane
from awpo_ext.verl_plugin.driver.estimator import compute_awpo_advantage, step_channel
from awpo_ext.verl_plugin.driver.example_tables import BACKENDS, NAME, ExampleTables, markdown
from awpo_ext.verl_plugin.driver.run_checks import awpo_section, example_options
from tests.awpo_ext.verl_plugin.test_channel import verls_inputs
from tests.awpo_ext.verl_plugin.test_recording import CONFIG, TOKENIZER, batch  # noqa: F401  (a fixture)


class Asked:
    """A module of a logger: it notes what it was called with."""

    def __init__(self):
        self.logged = []
        self.trackio = self.echarts = self

    def Table(self, **given):
        return SimpleNamespace(add=lambda **more: self.logged.append(more), **given)

    def log(self, data, step):
        self.logged.append((data[NAME], step))


def update(tables, loggers, batch, step=1):  # noqa: F811
    channel = plane.build_channel(batch, CONFIG, False)
    channel.reliability = ReliabilityState()
    with step_channel(channel):
        compute_awpo_advantage(*verls_inputs())
    radius = plane.radius_of_rollouts(clip_radius(channel.result.gate, CONFIG), channel)
    tables.update(SimpleNamespace(logger=loggers), batch, channel, radius, step, TOKENIZER)
    return channel


def test_the_table_has_the_rollouts_that_matter(batch):  # noqa: F811
    wandb = Asked()
    channel = update(ExampleTables(ExampleOptions(count=3)), {"console": object(), "wandb": wandb}, batch)
    ((table, step),) = wandb.logged
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.data]
    assert step == 1 and table.columns == list(COLUMNS) and len(rows) == 3
    advantages = channel.result.advantages.tolist()
    assert abs(rows[0]["advantage"]) == pytest.approx(max(map(abs, advantages)))
    by_key = dict(zip(["a_0_1", "b_0_0", "a_1_0", "b_1_0", "b_2_0"], advantages, strict=True))
    assert {row["rollout"]: row["advantage"] for row in rows} == pytest.approx(
        {row["rollout"]: by_key[row["rollout"]] for row in rows}
    )
    assert rows[0]["rollout"] == "b_1_0" and rows[0]["judge_words"] == "unscored: untold"
    assert rows[0]["prompt"] == rows[0]["rollout"][0] and rows[0]["expected"] == "truth"


def test_each_step_that_is_due_has_one_table(batch):  # noqa: F811
    wandb, tables = Asked(), ExampleTables(ExampleOptions(every=2))
    for step in (1, 1, 2, 2, 3, 4):  # several updates a step
        update(tables, {"wandb": wandb}, batch, step)
    assert [step for _, step in wandb.logged] == [1, 2, 4]
    update(ExampleTables(ExampleOptions(every=0)), {"wandb": wandb}, batch)
    assert len(wandb.logged) == 3


@pytest.mark.parametrize("name", ["wandb", "vemlp_wandb", "trackio", "swanlab", "clearml"])
def test_each_logger_gets_every_cell(batch, name):  # noqa: F811
    logger = Asked()
    update(ExampleTables(ExampleOptions()), {name: logger}, batch)
    given = logger.logged[0]
    table = given.get("rows") if isinstance(given, dict) else given[0]
    table = getattr(table, "dataframe", getattr(table, "data", table))
    cells = table.to_numpy().tolist() if hasattr(table, "to_numpy") else table
    assert len(cells) == 5 and [row[COLUMNS.index("expected")] for row in cells] == ["truth"] * 5


def test_mlflow_gets_an_artifact_a_step(batch, monkeypatch):  # noqa: F811
    kept = {}
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(log_dict=lambda value, file: kept.update({file: value})))
    update(ExampleTables(ExampleOptions()), {"mlflow": object()}, batch, step=10)
    ((file, table),) = kept.items()
    assert file == "awpo_examples/step_000010.json"
    assert table["columns"] == COLUMNS and len(table["data"]) == 5
    json.dumps(table, allow_nan=False)


def test_tensorboard_shows_what_was_written(batch, tmp_path):  # noqa: F811
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(tmp_path)
    update(ExampleTables(ExampleOptions()), {"tensorboard": SimpleNamespace(writer=writer)}, batch)
    writer.close()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    (event,) = events.Tensors(f"{NAME}/text_summary")
    assert event.step == 1 and "    truth" in event.tensor_proto.string_val[0].decode()


def test_no_text_of_a_model_is_markdown():
    texts = {name: "</pre>\n```\n# head\n\n| a | b |\n    <script>" for name in COLUMNS}
    row = {**texts, "step": 1, "outcome": None, "judge": 0.5, "advantage": -1.0}
    shown = markdown([row])
    assert "### outcome none, judge 0.500, advantage -1.000" in shown
    ours = [line for line in shown.splitlines() if line and not line.startswith("    ")]
    assert [line for line in ours if not line.startswith(("**", "###"))] == []


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_a_logger_that_fails_ends_its_tables_and_nothing_else(batch, name, caplog):  # noqa: F811
    well, tables = Asked(), ExampleTables(ExampleOptions(every=1))
    other = "wandb" if name != "wandb" else "trackio"
    for step in (1, 2):
        update(tables, {name: None, other: well}, batch, step)
    (line,) = [entry.message for entry in caplog.records if "NO MORE TABLES" in entry.message]
    assert f"in {name} (" in line and "examples=false" in line
    assert [step for _, step in well.logged] == [1, 2]


def test_a_batch_that_cannot_be_read_ends_the_tables(batch, caplog):  # noqa: F811
    wandb, tables = Asked(), ExampleTables(ExampleOptions(every=1))
    batch.fields["responses"] = {}
    for step in (1, 2):
        update(tables, {"wandb": wandb}, batch, step)
    assert caplog.text.count("NO MORE TABLES") == 1 and wandb.logged == []
    tables.update(None, batch, None, None, 3, TOKENIZER)  # a trainer without loggers


def test_the_section_is_checked_before_the_run_and_is_no_key_of_the_method():
    config = OmegaConf.create({"algorithm": {"awpo": {"examples": {"cuont": 3}}}})
    with pytest.raises(AwpoSetupError, match=r"algorithm.awpo.examples: unknown key 'cuont'.*did you mean 'count'"):
        example_options(config)
    config = OmegaConf.create(
        {"algorithm": {"awpo": {"examples": True, "record": False}}, "reward": {"custom_reward_function": None}}
    )
    assert example_options(config).every == 10 and awpo_section(config) == CONFIG
