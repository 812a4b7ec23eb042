// The page: its state is the address (#/view?key=value), so that every view is a link. Keyboard, polling, theme.

import { colour } from "./charts.js";
import { Run, source } from "./data.js";
import { fill, h, plain, toast } from "./dom.js";
import { rolloutsView } from "./list.js";
import { runsView } from "./runs.js";
import { stepsView } from "./steps.js";

const POLL_MS = 4000;
const VIEWS = { runs: "Runs", steps: "Groups", rollouts: "Rollouts" };
const KEYS = [
  ["j / k", "next, previous rollout"], ["h / l", "earlier, later step"], ["1 2 3", "runs, groups, rollouts"], ["/", "search the texts"],
  ["c", "copy a link to what you see"], ["d", "dark or light"], ["[ / ]", "previous, next run"], ["Esc", "leave a field, close this"], ["?", "this help"],
];

const from = source();
const keep = { hiddenRuns: new Set(), sections: new Map(), hits: null, copy: copyLink, later };
let runs = [];
let timer = null;
const main = h("main");
const bar = h("header.bar");

function readState() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { ...Object.fromEntries(new URLSearchParams(query)), view: VIEWS[path] ? path : "runs" };
}

function address({ view, ...rest }) {
  const query = new URLSearchParams(Object.entries(rest).filter(([, value]) => value !== undefined && value !== "")).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

// Parts of the state that another view or run does not take over.
function change(part) {
  const now = readState();
  const next = { ...now, ...part };
  if (part.view && part.view !== now.view) {
    const taken = { runs: ["run", "m"], steps: ["run", "step"], rollouts: ["run"] }[part.view];
    for (const key of Object.keys(next)) if (key !== "view" && !taken.includes(key) && !(key in part)) delete next[key];
  }
  const hash = address(next);
  if (hash !== location.hash) location.hash = hash;
}

const runOf = (state) => runs.find((run) => run.info.name === state.run) || runs[0];

async function draw() {
  const state = readState();
  const run = runOf(state);
  drawBar(state, run);
  document.title = `${VIEWS[state.view]} · ${plain(run.info.name)} · awpo`;
  if (state.view === "rollouts") {
    if (state.q && keep.searched !== `${run.index} ${run.count} ${state.q}`) await search(run, state.q);
    const only = keep.drawn === viewKey(state) && keep.drawnRun === run && document.querySelector(".rollouts");
    if (only) return select(run, state);
    keep.drawn = viewKey(state);
    keep.drawnRun = run;
    keepScroll(".facets", () => fill(main, rolloutsView(run, state, change, keep)));
  } else {
    keep.drawn = null;
    fill(main, state.view === "steps" ? stepsView(run, state, change, keep) : runsView(runs, state, change, keep));
    if (keep.focused) document.getElementById(keep.focused)?.focus();
  }
  keep.focused = null;
  document.body.dataset.ready = state.view;
}

// All of the state but which rollout is open: while it stays, only the open rollout changes.
const viewKey = ({ at, ...rest }) => JSON.stringify(Object.entries(rest).sort());

function select(run, state) {
  keep.selected = state.at ? run.find(state.at) : -1;
  if (keep.selected < 0) return;
  const place = keep.rows.indexOf(keep.selected);
  if (place >= 0) keep.reveal(place);
  keep.drawList();
  keep.showDetail(keep.selected);
}

function keepScroll(selector, work) {
  const top = document.querySelector(selector)?.scrollTop || 0;
  work();
  const now = document.querySelector(selector);
  if (now) now.scrollTop = top;
}

async function search(run, text) {
  document.body.classList.add("busy");
  try {
    keep.hits = new Set(await from.search(run.index, text));
    keep.searched = `${run.index} ${run.count} ${text}`;
  } catch (error) {
    keep.hits = new Set();
    toast(`The search failed: ${error.message}`);
  } finally {
    document.body.classList.remove("busy");
  }
}

function drawBar(state, run) {
  const searching = document.activeElement?.id === "search";
  if (searching && bar.dataset.view === state.view) return;
  bar.dataset.view = state.view;
  fill(bar,
    h("a.logo", { href: "#/runs" }, "awpo"),
    h("nav", null, Object.entries(VIEWS).map(([view, label]) =>
      h(`a${view === state.view ? ".on" : ""}`, { href: address({ view, run: state.run }), "aria-current": view === state.view ? "page" : null }, label))),
    state.view === "runs" ? runToggles() : runChoice(run),
    h("span.spring"),
    h("form.search", { role: "search", onsubmit: submitSearch },
      h("input", { type: "search", id: "search", placeholder: "search prompts, responses, judge …   /", value: state.q || "", maxlength: 1000, "aria-label": "search texts" })),
    from.live ? h("span.live", { title: "new steps appear by themselves" }, "live") : h("span.live.file", { title: "written by awpo view --export" }, "file"),
    h("button.quiet", { onclick: toggleTheme, title: "dark or light (d)" }, "◐"),
    h("button.quiet", { onclick: help, title: "keys (?)" }, "?"),
  );
}

const runChoice = (run) =>
  h("select", { "aria-label": "run", onchange: (event) => change({ run: event.target.value, at: undefined, step: undefined }) },
    runs.map((one) => h("option", { value: one.info.name, selected: one === run }, one.info.name)));

const runToggles = () =>
  h("span.toggles", null, runs.length > 1 && runs.map((run) =>
    h(`button.quiet.toggle${keep.hiddenRuns.has(run.index) ? ".off" : ""}`, { onclick: () => toggleRun(run), "aria-pressed": String(!keep.hiddenRuns.has(run.index)) },
      h("span.swatch", { style: { background: colour(run.index) } }), run.info.name)));

function toggleRun(run) {
  if (!keep.hiddenRuns.delete(run.index)) keep.hiddenRuns.add(run.index);
  draw();
}

function submitSearch(event) {
  event.preventDefault();
  const text = document.getElementById("search").value.trim();
  document.activeElement.blur();
  change({ view: "rollouts", q: text || undefined, at: undefined });
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Link copied.");
  } catch {
    toast(location.href);
  }
}

function toggleTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("awpo-theme", document.documentElement.dataset.theme);
  } catch {} // a file may not be allowed to
  draw();
}

function help() {
  const dialog = h("dialog.help", { onclose: () => dialog.remove() },
    h("h3", null, "Keys"), h("dl", null, KEYS.map(([key, told]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, told)))),
    h("form", { method: "dialog" }, h("button.quiet", null, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

function next(by) {
  if (readState().view !== "rollouts" || !keep.rows?.length) return;
  const place = keep.rows.indexOf(keep.selected);
  const to = Math.max(0, Math.min(keep.rows.length - 1, place < 0 ? 0 : place + by));
  change({ at: runOf(readState()).address(keep.rows[to]) });
}

function otherRun(by) {
  const place = runs.indexOf(runOf(readState()));
  change({ run: runs[(place + by + runs.length) % runs.length].info.name, at: undefined });
}

const ACTIONS = {
  j: () => next(1), k: () => next(-1), h: () => keep.nextStep?.(-1), l: () => keep.nextStep?.(1), c: copyLink, d: toggleTheme, "?": help,
  1: () => change({ view: "runs" }), 2: () => change({ view: "steps" }), 3: () => change({ view: "rollouts" }),
  "[": () => otherRun(-1), "]": () => otherRun(1), "/": () => document.getElementById("search").focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return document.activeElement.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, dialog")) return;
  if (!ACTIONS[event.key]) return;
  event.preventDefault();
  ACTIONS[event.key]();
});

function later(work) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    keep.focused = document.activeElement?.id;
    work();
  }, 150);
}

async function poll() {
  if (!document.hidden) {
    let lost = false;
    const grown = await Promise.all(runs.map((run) => run.refresh().catch(() => !(lost = true))));
    document.body.classList.toggle("lost", lost);
    if (grown.some(Boolean) && !document.activeElement?.closest?.("input, select")) {
      await redraw();
    }
  }
  setTimeout(poll, POLL_MS);
}

// What is new is drawn without moving what is being read.
async function redraw() {
  const top = main.scrollTop;
  keep.stay = document.querySelector(".list-body")?.scrollTop || 0;
  keep.drawn = null;
  await draw();
  requestAnimationFrame(() => requestAnimationFrame(() => (main.scrollTop = top)));
}

async function start() {
  try {
    const theme = localStorage.getItem("awpo-theme");
    if (theme) document.documentElement.dataset.theme = theme;
  } catch {} // a file may not be allowed to
  document.body.append(bar, main);
  fill(main, h("p.empty", null, "Reading the record …"));
  try {
    runs = (await from.runs()).runs.map((info, index) => new Run(from, index, info));
    if (readState().view === "runs") {
      await Promise.all(runs.map((run) => run.refreshMetrics()));
      await draw();
    }
    await Promise.all(runs.map((run) => run.refresh()));
  } catch (error) {
    fill(main, h("p.empty.bad", null, `The record cannot be read: ${error.message}`));
    return;
  }
  window.addEventListener("hashchange", draw);
  await redraw();
  document.body.dataset.read = "all";
  if (from.live) setTimeout(poll, POLL_MS);
}

start();
