"""docs/wrong_reward.md click by click: each of the three planted faults is found as the page says."""

import pytest

pytest.importorskip("selenium")

from tests.awpo_ext.explorer.browsing import Page


@pytest.fixture(scope="module")
def page(chromium, serving, demo_folders):
    return Page(chromium, serving(demo_folders))


def click(page, within, text):
    """Click what is called so: a button or a heading."""
    page.until(
        """const found = [...document.querySelectorAll(arguments[0])].find((one) => one.innerText.includes(arguments[1]));
        found?.click(); return Boolean(found)""",
        within,
        text,
    )


def click_finding(page, run, text):
    """On a card of the first page; then `j` opens the first rollout of what it shows."""
    page.open("#/runs")
    page.until("return document.querySelectorAll('.uplot').length")
    page.until(
        """const card = [...document.querySelectorAll('.run-card')].find((one) => one.innerText.includes(arguments[0]));
        const button = [...card.querySelectorAll('.finding')].find((one) => one.innerText.includes(arguments[1]));
        button?.click(); return Boolean(button)""",
        run,
        text,
    )
    page.until("return document.querySelector('.list-body .line')")


def choose_sort(page, label):
    page.js(
        """const select = document.querySelector('select[aria-label=sort]');
        select.value = [...select.options].find((one) => one.label === arguments[0]).value;
        select.dispatchEvent(new Event('change'))""",
        label,
    )
    page.until("return location.hash.includes('sort=')")


def test_the_verifier_cannot_read_the_model(page):
    click_finding(page, "suspect A", "cannot be read")
    page.press("j")
    shown = page.rollout()
    assert "could not read this response" in shown and "read as hermes it has" in shown
    assert page.complaints() == [] and page.hosts() == {"127.0.0.1"}
    page.open("#/runs")
    click(page, "summary", "Settings in which the runs differ")
    settings = page.text(".differences table")
    (dialect,) = [line for line in settings.splitlines() if "verifier_kwargs.dialect" in line]
    assert '"python"' in dialect and dialect.count('"auto"') == 3


def test_the_judge_does_not_judge(page):
    click_finding(page, "suspect B", "not scored by the judge")
    page.press("j")
    shown = page.rollout()
    assert "unscored" in shown and "bad verdict" in shown and "somewhere between an eight and a nine" in shown
    click(page, "button", "Clear")
    page.until("return !location.hash.includes('f=')")
    choose_sort(page, "judge's score")
    page.until("return !document.querySelector('article.rollout')")
    page.press("j")
    assert "carefully considered" in page.rollout(), "the highest scores go to long responses that praise themselves"


def test_the_data_wants_nulls(page):
    click_finding(page, "suspect C", "null in the ground truth")
    everything = page.shown()
    click(page, ".facet-value", "missing argument")
    page.until("return location.hash.includes('reason=missing_argument')")
    choose_sort(page, "outcome")
    page.press("j")
    page.rollout()
    assert 0 < page.shown() < everything
    rows = page.texts("table.calls tr")
    assert [row for row in rows if "null" in row and "missing" in row]
