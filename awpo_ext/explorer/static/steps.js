// A step's groups side by side: the rollouts of each prompt with outcome, judge and advantage, and whether the judge has a say.

import { h, count, meter, num, signed, signedMeter, words } from "./dom.js";

const SHOWN = 60; // groups; "more" shows the next

export function stepsView(run, state, change, keep) {
  const steps = run.steps();
  if (!steps.length) return h("p.empty", null, "No rollouts yet.");
  const step = steps.includes(Number(state.step)) ? Number(state.step) : steps.at(-1);
  const place = steps.indexOf(step);
  keep.nextStep = (by) => {
    const next = steps[Math.max(0, Math.min(steps.length - 1, place + by))];
    if (next !== step) change({ step: String(next), more: undefined });
  };
  const rows = run.rowsWhere((row) => run.step(row) === step);
  const groups = Map.groupBy ? Map.groupBy(rows, (row) => run.columns.group[row]) : grouped(rows, run.columns.group);
  const ordered = [...groups.values()].sort((a, b) => interest(run, b) - interest(run, a));
  const limit = SHOWN * Number(state.more || 1);
  return h("div.steps", null,
    h("div.toolbar", null,
      h("button.quiet", { onclick: () => keep.nextStep(-1), disabled: place === 0, title: "earlier step (h)" }, "←"),
      h("label", null, "step ", h("select", { "aria-label": "step", onchange: (event) => change({ step: event.target.value, more: undefined }) },
        steps.map((one) => h("option", { value: one, selected: one === step }, String(one))))),
      h("button.quiet", { onclick: () => keep.nextStep(1), disabled: place === steps.length - 1, title: "later step (l)" }, "→"),
      h("span.muted", null, ` ${count(groups.size)} groups, ${count(rows.length)} rollouts; largest advantages first`),
      h("span.spring"),
      h("button.quiet", { onclick: () => change({ view: "rollouts", from: String(step), to: String(step) }) }, "list of these rollouts"),
    ),
    h("div.groups", null, ordered.slice(0, limit).map((one) => groupCard(run, one, change))),
    ordered.length > limit ? h("button.quiet.more", { onclick: () => change({ more: String(Number(state.more || 1) + 1) }) }, `${ordered.length - limit} more groups`) : null,
  );
}

function grouped(rows, column) {
  const groups = new Map();
  for (const row of rows) groups.set(column[row], [...(groups.get(column[row]) || []), row]);
  return groups;
}

const interest = (run, rows) => Math.max(...rows.map((row) => Math.abs(run.columns.advantage[row]) || 0));

function groupCard(run, rows, change) {
  const { gate, difficulty, advantage, share, score, outcome } = run.columns;
  const [first] = rows;
  const closed = run.word("closed", first);
  const scale = Math.max(...rows.map((row) => Math.abs(advantage[row]) || 0), 1e-9);
  return h("section.card.group", null,
    h("header", null, h("b", null, run.groups.question[run.columns.group[first]] || run.uid(first)), h("small.muted", null, run.word("phase", first), " ", run.word("source", first))),
    h("p.muted", null, `w ${num(gate[first])} · d ${num(difficulty[first])} `, closed && closed !== "open" ? h("span.tag.bad", null, `closed: ${words(closed)}`) : null),
    h("table", null, h("thead", null, h("tr", null, ["", "outcome", "judge", "A"].map((title) => h("th", null, title)))),
      h("tbody", null, rows.map((row) =>
        h("tr", { tabindex: 0, onclick: () => open(run, row, change), onkeydown: (event) => event.key === "Enter" && open(run, row, change) },
          h("td", null, h("small", null, words(run.word("problem", row) || run.word("reason", row)))),
          h("td", { title: num(outcome[row]) }, meter(share[row], "outcome")),
          h("td", { title: num(score[row]) }, Number.isNaN(score[row]) ? h("span.tag.bad", null, words(run.word("failure", row)) || "unscored") : meter(score[row], "judge")),
          h("td.number", null, signed(advantage[row]), signedMeter(advantage[row], scale)))))),
  );
}

const open = (run, row, change) => change({ view: "rollouts", at: run.address(row), from: String(run.step(row)), to: String(run.step(row)) });
