// The rollouts of a run: filters with their numbers on the left, the list in the middle, one rollout on the right.

import { h, fill, count, meter, num, signed, signedMeter, words } from "./dom.js";
import { FACETS, QUICK, SORTS, counts, select } from "./filters.js";
import { rolloutPage } from "./rollout.js";

const ROW = 44; // pixels, as in the style sheet
const BEYOND = 12; // rows drawn outside of what can be seen

// `state`: the address as an object (app.js); `change(part)` sets parts of it; `keep` holds what outlives a drawing.
export function rolloutsView(run, state, change, keep) {
  const choice = choiceOf(run, state, keep);
  const choose = (part) => change({ ...part, at: undefined }); // another list is read from its top
  const begun = performance.now();
  const columns = columnsOf(run, keep);
  keep.rows = select(columns, run.count, run.groups.step, choice);
  const shown = counts(columns, run.count, run.groups.step, choice, keep.rows);
  keep.filterMs = performance.now() - begun;
  const detail = h("div.pane.detail", { tabindex: -1 });
  const list = listPane(run, state, change, choose, keep, columns);
  keep.showDetail = (row) => showDetail(run, row, detail, change, keep);
  const view = h("div.rollouts", { "data-filter-ms": keep.filterMs.toFixed(1) }, facetPane(run, state, choose, shown, choice), list, detail);
  keep.selected = state.at ? run.find(state.at) : -1;
  if (keep.selected >= 0) keep.showDetail(keep.selected);
  else fill(detail, state.at ? h("p.empty", null, "The run has no such rollout (any more).") : h("p.empty", null, "Choose a rollout, or press j."));
  return view;
}

function choiceOf(run, state, keep) {
  const facets = {};
  for (const name of Object.keys(FACETS)) {
    const code = state[name] === undefined ? -1 : (run.words[name] || []).indexOf(state[name]);
    if (state[name] !== undefined) facets[name] = code;
  }
  const whole = (text) => (/^-?\d+$/.test(text ?? "") ? Number(text) : null);
  return {
    quick: (state.f || "").split(",").filter((name) => QUICK[name]),
    facets,
    from: whole(state.from),
    to: whole(state.to),
    sort: SORTS[state.sort] ? state.sort : "newest",
    hits: state.q ? keep.hits : null,
  };
}

function columnsOf(run, keep) {
  if (keep.scaledFor !== run.columns.advantage) {
    keep.scaledFor = run.columns.advantage;
    keep.scale = scaleOf(run.columns.advantage);
  }
  return run.prepared || { group: [] };
}

function scaleOf(values = []) {
  let largest = 0;
  for (const value of values) if (Math.abs(value) > largest) largest = Math.abs(value);
  return largest;
}

function facetPane(run, state, change, shown, choice) {
  const toggle = (name) => {
    const next = choice.quick.includes(name) ? choice.quick.filter((one) => one !== name) : [...choice.quick, name];
    change({ f: next.join(",") || undefined });
  };
  const any = choice.quick.length || Object.keys(choice.facets).length || state.q || state.from || state.to;
  return h("aside.pane.facets", { "aria-label": "filters" },
    h("div.facet-head", null, h("h3", null, "Filters"), any ? h("button.quiet", { onclick: () => change(cleared()) }, "Clear") : null),
    Object.entries(QUICK).map(([name, { label, help }]) =>
      facetButton(label, shown.quick[name], choice.quick.includes(name), () => toggle(name), help, name)),
    h("div.range", null, "steps ", stepInput("from", state, change), " to ", stepInput("to", state, change)),
    Object.entries(FACETS).map(([name, { label }]) => facet(run, name, label, shown.facets[name], choice, change)),
  );
}

const cleared = () => ({ f: undefined, q: undefined, from: undefined, to: undefined, ...Object.fromEntries(Object.keys(FACETS).map((name) => [name, undefined])) });

const stepInput = (name, state, change) =>
  h("input", { type: "text", inputmode: "numeric", size: 4, value: state[name] || "", "aria-label": `${name} step`, onchange: (event) => change({ [name]: event.target.value.trim() || undefined }) });

function facet(run, name, label, tally, choice, change) {
  if (!tally || tally.size === 0 || (tally.size === 1 && FACETS[name].all && choice.facets[name] === undefined)) return null;
  const values = [...tally].sort((a, b) => b[1] - a[1]).slice(0, 12);
  return h("section.facet", null, h("h4", null, label),
    values.map(([code, n]) => {
      const word = run.words[name][code];
      const on = choice.facets[name] === code;
      return facetButton(words(word) || "not said", n, on, () => change({ [name]: on ? undefined : word }), null, `${name}-${code}`);
    }));
}

const facetButton = (label, n, on, onclick, title, id) =>
  h(`button.facet-value${on ? ".on" : ""}${n ? "" : ".none"}`, { onclick, title, "aria-pressed": String(on), "data-facet": id }, h("span", null, label), h("span.number", null, count(n)));

// Only the rows that can be seen are in the page.
function listPane(run, state, change, choose, keep, columns) {
  const body = h("div.list-body", { role: "listbox", "aria-label": "rollouts", tabindex: 0 });
  const inner = h("div.list-inner", { style: { height: `${keep.rows.length * ROW}px` } });
  body.append(inner);
  const draw = () => {
    const first = Math.max(0, Math.floor(body.scrollTop / ROW) - BEYOND);
    const last = Math.min(keep.rows.length, Math.ceil((body.scrollTop + (body.clientHeight || 900)) / ROW) + BEYOND);
    const lines = [];
    for (let place = first; place < last; place++) lines.push(line(run, keep.rows[place], place, columns, keep, change));
    inner.replaceChildren(...lines);
  };
  body.addEventListener("scroll", draw);
  keep.drawList = () => {
    draw();
    for (const one of inner.children) one.classList.toggle("here", Number(one.dataset.row) === keep.selected);
  };
  keep.reveal = (place) => {
    const top = place * ROW;
    if (top < body.scrollTop) body.scrollTop = top;
    else if (top + ROW > body.scrollTop + body.clientHeight) body.scrollTop = top + ROW - body.clientHeight;
    keep.drawList();
  };
  requestAnimationFrame(() => {
    const place = keep.rows.indexOf(keep.selected);
    if (place >= 0 && !keep.stay) keep.reveal(place);
    else if (keep.stay) body.scrollTop = keep.stay;
    keep.stay = 0;
    keep.drawList();
  });
  const sort = h("select", { "aria-label": "sort", onchange: (event) => choose({ sort: event.target.value === "newest" ? undefined : event.target.value }) },
    Object.entries(SORTS).map(([name, { label }]) => h("option", { value: name, selected: name === (state.sort || "newest") }, label)));
  return h("section.pane.list", null,
    h("div.list-head", null, h("b", { id: "shown" }, count(keep.rows.length)), ` of ${count(run.count)}`, h("span.spring"), sort),
    h("div.line.titles", { "aria-hidden": "true" }, ["step", "prompt", "outcome", "judge", "A"].map((title) => h("span", null, title))),
    keep.rows.length ? body : h("p.empty", null, run.count ? "No rollout is like that." : "No rollouts yet."));
}

function line(run, row, place, columns, keep, change) {
  const reason = [run.word("problem", row) || run.word("reason", row), run.word("failure", row) && `judge: ${run.word("failure", row)}`].filter(Boolean);
  return h(`div.line${row === keep.selected ? ".here" : ""}`, {
    role: "option", "data-row": row, "aria-selected": String(row === keep.selected), style: { top: `${place * ROW}px` },
    onclick: () => change({ at: run.address(row) }),
  },
    h("span.number", null, String(run.step(row))),
    h("span.question", null, h("span", null, run.groups.question[columns.group[row]] || run.uid(row)), h("small.muted", null, reason.map(words).join(" · "))),
    h("span", { title: num(columns.outcome[row]) }, meter(columns.share[row], "outcome")),
    h("span", { title: num(columns.score[row]) }, meter(columns.score[row], "judge")),
    h("span.number.advantage", null, signed(columns.advantage[row]), signedMeter(columns.advantage[row], keep.scale)),
  );
}

// A page that is already there is shown again as it was: a run that goes on redraws the list every few seconds.
async function showDetail(run, row, pane, change, keep) {
  keep.asked = row;
  const key = `${run.index} ${run.generation} ${row}`;
  pane.onscroll = () => keep.page && (keep.page.top = pane.scrollTop);
  if (keep.page?.key === key) {
    fill(pane, keep.page.article);
    pane.scrollTop = keep.page.top;
    return;
  }
  const actions = {
    go: (other) => change({ at: run.address(other) }),
    copy: keep.copy,
    openStep: (step) => change({ view: "steps", step: String(step) }),
  };
  try {
    const detail = await run.source.rollout(run.index, row, run.generation);
    if (keep.asked !== row) return;
    keep.page = { key, article: rolloutPage(run, row, detail, actions), top: 0 };
    fill(pane, keep.page.article).scrollTop = 0;
  } catch (error) {
    if (keep.asked === row) fill(pane, h("p.empty.bad", null, `This rollout cannot be shown: ${error.message}`));
  }
}
