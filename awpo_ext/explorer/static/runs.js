// All runs over time, what is odd about each, and in which settings they differ.

import { chartCard, colour } from "./charts.js";
import { h, count, percent } from "./dom.js";
import { findings } from "./findings.js";

const FIRST = {
  "awpo/outcome/mean": "Outcome reward",
  "awpo/reasoning/mean": "Judge's score",
  "awpo/leverage/mean": "Leverage: the judge's share of the update",
  "awpo/gate/mean": "Gate w",
  "awpo/clip_radius": "Clip radius",
  "awpo/reliability": "Reliability: judge against outcome",
  "awpo/reasoning/valid_fraction": "Share scored by the judge",
  "awpo/outcome/valid_fraction": "Share verified",
  "response_length/mean": "Response length",
  "actor/entropy": "Entropy",
  "actor/kl_loss": "KL",
  "actor/pg_clipfrac": "Clip fraction",
};
const VALIDATION = /^val-core\/(.*)\/reward\/mean/;
const labelOf = (name) => FIRST[name] || (VALIDATION.test(name) ? `Validation reward: ${name.match(VALIDATION)[1]}` : name);
const SECTIONS = [
  ["Validation", (name) => /^val/.test(name)],
  ["Failures and closed groups", (name) => /closed|failure|unparse|unscored|parsable|aborted|alarm/.test(name)],
  ["The method", (name) => name.startsWith("awpo/")],
  ["Policy", (name) => /^(actor|critic|response|prompt|rollout)/.test(name)],
  ["Everything else", () => true],
];

export function runsView(runs, state, change, keep) {
  const shown = runs.filter((run) => !keep.hiddenRuns.has(run.index));
  const names = [...new Set(shown.flatMap((run) => Object.keys(run.metrics.series)))].sort();
  const wanted = (state.m || "").toLowerCase();
  const found = names.filter((name) => (name + labelOf(name)).toLowerCase().includes(wanted));
  const first = [...found.filter((name) => VALIDATION.test(name)), ...Object.keys(FIRST).filter((name) => found.includes(name))];
  const sections = new Map([["At a glance", first], ...SECTIONS.map(([title]) => [title, []])]);
  for (const name of found) if (!first.includes(name)) sections.get(SECTIONS.find(([, holds]) => holds(name))[0]).push(name);
  const onstep = (step) => change({ view: "steps", step: String(step), run: shown.find((run) => run.metrics.steps.includes(step))?.info.name });
  return h("div.runs", null,
    h("div.run-cards", null, runs.map((run) => runCard(run, change))),
    differences(runs),
    h("div.toolbar", null, h("input", { type: "search", id: "metric-filter", placeholder: "metrics that hold …", value: state.m || "", "aria-label": "filter metrics", oninput: (event) => keep.later(() => change({ m: event.target.value || undefined })) }),
      h("span.muted", null, ` ${count(found.length)} of ${count(names.length)} metrics. A click on a curve opens the step.`)),
    names.length ? [...sections].filter(([, list]) => list.length).map(([title, list], place) => chartSection(title, list, shown, onstep, keep.sections, keep.sections.get(title) ?? (place < 3 || Boolean(wanted)))) : h("p.empty", null, "No metrics yet."),
  );
}

function chartSection(title, names, runs, onstep, sections, open) {
  const grid = h("div.charts");
  const section = h("details.chart-section", { open }, h("summary", null, h("h3", null, title, h("span.muted", null, ` ${names.length}`))), grid);
  let drawn = false;
  const draw = () => {
    if (drawn || !section.open || !section.isConnected) return;
    drawn = true;
    const cards = names.map((name) => chartCard(name, labelOf(name), runs, onstep));
    grid.replaceChildren(...cards);
    for (const card of cards) card.draw();
  };
  section.addEventListener("toggle", draw);
  section.firstChild.addEventListener("click", () => sections.set(title, !section.open));
  requestAnimationFrame(draw);
  return section;
}

function runCard(run, change) {
  const odd = run.read ? findings(run) : [];
  const show = (filter) => change({ view: "rollouts", run: run.info.name, ...filter });
  return h("section.card.run-card", null,
    h("header", null, h("span.swatch", { style: { background: colour(run.index) } }), h("h3", null, run.info.name)),
    h("p.muted", null, `${count(run.steps().filter((step) => step > 0).length)} steps · ${count(run.count)} rollouts`, run.info.of > run.count ? ` (of ${count(run.info.of)}, in this file)` : ""),
    h("h4", null, !run.read ? "Reading the rollouts …" : odd.length ? "Worth a look" : "Nothing odd at first sight"),
    odd.map(({ share, text, filter, level }) =>
      h(`button.finding.${level}`, { onclick: () => show(filter) }, h("span.number", null, share === null ? "" : percent(share)), h("span", null, text))),
    h("button.quiet", { onclick: () => show({}) }, "All rollouts"),
  );
}

// The settings in which the runs differ, so that a curve can be blamed on one.
function differences(runs) {
  const flat = runs.map((run) => flattened(run.info.about || {}));
  const keys = [...new Set(flat.flatMap((one) => [...one.keys()]))].filter((key) => runs.length === 1 ? /^awpo\.|^reward\./.test(key) : new Set(flat.map((one) => one.get(key))).size > 1).sort();
  if (!keys.length) return null;
  const title = runs.length === 1 ? `Settings of the method (${keys.length})` : `Settings in which the runs differ (${keys.length})`;
  return h("details.card.differences", null, h("summary", null, h("h3", null, title)),
    h("table", null, h("thead", null, h("tr", null, h("th", null, "key"), runs.map((run) => h("th", null, run.info.name)))),
      h("tbody", null, keys.slice(0, 400).map((key) => h("tr", null, h("th", { scope: "row" }, h("code", null, key)), flat.map((one) => h("td", null, h("code", null, one.get(key) ?? "–"))))))));
}

function flattened(value, prefix = "", into = new Map(), depth = 0) {
  for (const [key, one] of Object.entries(value)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (key === "starts" && Array.isArray(one)) {
      const last = one.at(-1) || {};
      const { awpo = {}, reward = {}, versions = {}, hashes = {} } = last;
      flattened({ awpo, reward, versions, hashes }, "", into, depth + 1);
    } else if (one !== null && typeof one === "object" && !Array.isArray(one) && depth < 8) flattened(one, name, into, depth + 1);
    else into.set(name, JSON.stringify(one));
  }
  return into;
}
