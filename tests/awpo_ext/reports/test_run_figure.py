"""The figure: every panel that runs have metrics for, in each format, of any run names and any numbers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="needs the plot extra")

from matplotlib.figure import Figure

from awpo_ext.reports.run_figure import BANDS, NAME_SHOWN, PANELS, SD, curve, draw, label_of, panels_of, plot, smooth
from awpo_ext.reports.run_files import Run
from reward_models.errors import UserError

NUMBERS = st.sampled_from([0.0, 1.0, -3.5, 1e308, math.nan, math.inf, -math.inf])
KEYS = st.sampled_from(
    [value for panel in PANELS for value in panel.curves.values() if isinstance(value, str)]
    + ["awpo/outcome/std", "awpo/closed/saturated", "awpo/judge/failed/timeout", "awpo/reasoning/honesty/mean"]
)


def run(name="run", preset="awpo", steps=3, **more):
    """Metrics of every panel."""
    keys = [value for panel in PANELS for value in panel.curves.values() if isinstance(value, str)]
    bands = ["awpo/outcome/std", "awpo/reasoning/std", "awpo/reliability/low", "awpo/reliability/high", "awpo/gate/p10"]
    shares = ["awpo/gate/p90", "awpo/closed/saturated", "awpo/closed/no_variance", "awpo/judge/failed/timeout"]
    of_all = dict.fromkeys([*keys, *bands, *shares, "val-core/x/reward/mean@1"], 0.25)
    return Run(
        name, preset, {step: {**of_all, "awpo/outcome/mean": float(step), **more} for step in range(1, steps + 1)}
    )


@pytest.mark.parametrize(
    ("ending", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")]
)
def test_each_format(tmp_path, ending, start):
    file = tmp_path / f"figure{ending}"
    assert plot([run(), run("other", "outcome_only")], file) == []
    assert file.read_bytes().startswith(start)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a figure is a .png, .pdf or .svg file"):
        plot([run()], tmp_path / "figure.gif")


def test_names_presets_and_panels_are_in_the_figure(tmp_path):
    file = tmp_path / "figure.svg"
    plot([run("first"), run("second", "outcome_only")], file)
    text = file.read_text()
    assert "first (preset awpo)" in text and "second (preset outcome_only)" in text
    assert all(panel.title in text for panel in PANELS)
    plot([run("first")], file)
    text = file.read_text()
    assert "first (preset awpo), 3 steps" in text and "saturated" in text and "outcomes differ" in text


def test_what_no_run_logged_is_left_out_and_said(tmp_path):
    one = Run("run", "", {1: {"awpo/outcome/mean": 1.0}})
    told = plot([one], tmp_path / "figure.svg")
    assert "Validation reward: not logged (set trainer.test_freq)" in told and len(told) == 11
    assert "Entropy" not in (tmp_path / "figure.svg").read_text()
    assert plot([Run("run", "", {1: {}})], tmp_path / "empty.png")[0].startswith("Outcome reward")


def test_each_signal_has_a_panel():
    several = run(**{"awpo/reasoning/honesty/mean": 0.5, "awpo/reasoning/honesty/std": 0.1})
    assert [panel.note for panel in panels_of([several]) if panel.title == "Reasoning reward"] == ["honesty"]


def test_bands_are_told_where_they_are_drawn():
    for runs, banded in ((BANDS, True), (BANDS + 1, False)):
        axis = Figure().subplots()
        draw(axis, PANELS[0], [run(f"run {i}") for i in range(runs)])
        assert bool(axis.collections) is banded and (axis.get_title("right") == SD) is banded


def test_a_run_has_one_colour_in_every_panel():
    runs = [run("first"), run("second")]
    for panel in PANELS:
        axis = Figure().subplots()
        draw(axis, panel, runs)
        lines = [line for line in axis.lines if len(line.get_xdata()) == 3]
        assert [line.get_color() for line in lines] == ["#0072B2", "#D55E00"], panel.title


@pytest.mark.parametrize("name", ["$x^{", "_hidden", "a\nb\x00\u202e", "x" * 500, "", "<svg onload=alert(1)>"])
def test_any_name_is_shown(tmp_path, name):
    shown = label_of(Run(name, "", {}), True)
    assert shown.isprintable() and 0 < len(shown) <= NAME_SHOWN and not shown.startswith("_")
    for runs in ([run(name)], [run(name), run(name)]):
        plot(runs, tmp_path / "figure.svg")
    assert "<svg onload" not in (tmp_path / "figure.svg").read_text()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.dictionaries(st.integers(0, 90), st.dictionaries(KEYS, NUMBERS), min_size=1), min_size=1, max_size=3)
)
def test_any_metrics_can_be_drawn(steps):
    runs = [Run(f"run {i}", "", dict(sorted(one.items()))) for i, one in enumerate(steps)]
    for panel in panels_of(runs):
        draw(Figure().subplots(), panel, runs)


def test_long_runs_are_smoothed_and_short_ones_are_not():
    assert smooth([1.0, 2.0, 6.0], 3) == [1.5, 3.0, 4.0] and smooth([1.0, 2.0], 0) == [1.0, 2.0]
    for steps, lines in ((60, 1), (61, 2)):
        axis = Figure().subplots()
        draw(axis, PANELS[0], [run(steps=steps)])
        assert len(axis.lines) == lines
    assert curve({1: {"a": 1.0}, 2: {}, 3: {"a": math.nan}}, "a") == ([1], [1.0])
