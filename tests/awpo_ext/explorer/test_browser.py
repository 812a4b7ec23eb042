"""The page in a real browser: filters, links, keys, themes, and hostile texts that do nothing."""

import json

import pytest

pytest.importorskip("selenium")

from awpo_ext.explorer.api import Explorer
from awpo_ext.explorer.demo import DemoRun, write_demo_run
from awpo_ext.explorer.export import export_page
from awpo_ext.record import open_record
from awpo_ext.record.parts import PartInfo, PartKey, write_part
from awpo_ext.record.schema import VALIDATION
from tests.awpo_ext.explorer.browsing import Page
from tests.awpo_ext.explorer.hostile import MARKER, write_hostile_run
from tests.awpo_ext.record.made_up import validated


@pytest.fixture(scope="module")
def page(chromium, serving, demo_folders):
    return Page(chromium, serving(demo_folders))


@pytest.fixture(scope="module")
def exported(chromium, demo_folders, tmp_path_factory):
    file = tmp_path_factory.mktemp("export") / "runs.html"
    file.write_text(export_page(Explorer(demo_folders), rollouts=40), encoding="utf-8")
    return Page(chromium, file.as_uri())


def test_filters_sorts_search_and_links(page):
    page.open("#/rollouts?run=healthy")
    everything = page.shown()
    assert everything == 64
    page.click("[data-facet=unparseable]")
    page.until("return location.hash.includes('f=unparseable')")
    assert page.shown() < everything
    page.open("#/rollouts?run=healthy&q=TELL&sort=advantage")
    hits = page.shown()
    assert 0 < hits < everything
    page.press("j")
    first = page.rollout()
    address = page.js("return location.hash")
    page.press("j")
    page.until("return document.querySelector('article.rollout').innerText !== arguments[0]", first)
    page.open(address)
    assert page.rollout() == first, "a pasted link opens the same rollout"
    page.press("2")
    page.until("return document.body.dataset.ready === 'steps' && document.querySelectorAll('.group').length === 4")
    page.press("h")
    page.until("return location.hash.includes('step=3')")
    page.press("/")
    page.until("return document.activeElement.id === 'search'")
    page.press("?")
    page.until("return document.querySelector('dialog[open]')")
    assert page.complaints() == []


def test_both_themes(page):
    page.open("#/runs")
    backs = []
    for _ in range(2):
        backs.append(page.js("return getComputedStyle(document.body).backgroundColor"))
        page.press("d")
    page.js("localStorage.clear(); delete document.documentElement.dataset.theme")
    assert len(set(backs)) == 2


def test_the_advantage_is_the_sum_that_is_shown(page, demo_folders):
    page.open("#/rollouts?run=healthy")
    page.press("j")
    page.rollout()
    numbers = [float(text.replace("−", "-")) for text in page.texts("table.terms td.number")]
    assert len(numbers) == 3 and numbers[0] + numbers[1] == pytest.approx(numbers[2], abs=0.011)


def test_a_run_that_goes_on_appears_by_itself(chromium, serving, tmp_path):
    run = DemoRun("going on", steps=1, groups=2, size=2)
    page = Page(chromium, serving([write_demo_run(tmp_path / "run", run)])).open("#/rollouts")
    assert page.shown() == 4
    write_demo_run(tmp_path / "more", DemoRun("more", steps=2, groups=2, size=2, seed=9))
    for table in ("groups", "rollouts"):
        name = "step_000002.train.00.parquet"
        (tmp_path / "more/record" / table / name).rename(tmp_path / "run/record" / table / name)
    page.until("return document.querySelector('#shown').innerText === '8'")


def test_a_validation_before_training_is_no_step(chromium, serving, tmp_path):
    """As every run of verl begins: rollouts at step 0 without advantages, and a curve that begins there."""
    folder = write_demo_run(tmp_path / "run", DemoRun("run", steps=2, groups=2, size=2))
    record = open_record(folder)
    rows, prompts = record.rollouts([1]).to_pylist(), record.groups([1]).to_pylist()
    write_part(record.folder, PartKey(0, VALIDATION), PartInfo(), *validated(rows, prompts))
    with open(record.folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 0, "metrics": {"val-core/sums/reward/mean@1": 1.5}}) + "\n")
    page = Page(chromium, serving([folder])).open("#/runs")
    assert "2 steps · 12 rollouts" in page.until(
        "return [...document.querySelectorAll('.run-card')].map((one) => one.innerText).find((one) => one.includes('12'))"
    )
    page.until("return document.querySelectorAll('.uplot').length")
    assert page.texts(".chart-card figcaption")[0].startswith("Validation reward: sums")
    page.open("#/rollouts?sort=oldest")
    page.press("j")
    assert "A validation has no advantages" in page.rollout()
    assert page.complaints() == []


def test_an_exported_file_needs_no_server(exported):
    exported.open("#/runs")
    assert exported.hosts() <= {"file"}
    exported.until("return document.querySelectorAll('.uplot').length")
    exported.open("#/rollouts?run=suspect+B&q=somewhere")
    assert exported.shown() > 0
    exported.press("j")
    assert "somewhere between" in exported.rollout()
    assert exported.complaints() == []


@pytest.mark.parametrize("form", ["server", "file"])
def test_planted_scripts_do_nothing_and_hidden_characters_are_seen(chromium, serving, tmp_path, form):
    folder = write_hostile_run(tmp_path / "run")
    base = serving([folder])
    if form == "file":
        file = tmp_path / "hostile.html"
        file.write_text(export_page(Explorer([folder])), encoding="utf-8")
        base = file.as_uri()
    page = Page(chromium, base)
    for address in (
        "#/runs",
        "#/steps",
        "#/rollouts",
        "#/rollouts?q=%3Cscript&run=%3Cimg%20src=x%20onerror=alert(1)%3E",
    ):
        page.open(address)
    page.open("#/rollouts")
    for _ in range(2):
        page.press("j")
    shown = page.rollout()
    page.js("for (const one of document.querySelectorAll('details')) one.open = true")
    for text in ("<script>", "U+202E", "U+200B", "U+0007", "onerror="):
        assert text in page.text("body"), text
    assert shown.count(MARKER) >= 5
    assert page.js(f"return window.{MARKER}") is None
    planted = "img, iframe, object, embed, form[action], a[href^=javascript], [onerror], [onclick], base"
    assert page.js(f"return document.querySelectorAll('{planted}').length") == 0
    assert "\u202e" not in page.driver.title and "\u202e" not in json.dumps(page.text("body"), ensure_ascii=False)
    assert page.complaints() == [], "nothing was even tried: the policy is the second wall"
