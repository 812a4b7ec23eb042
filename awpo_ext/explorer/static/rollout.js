// One rollout as a person reads it.

import { comparison } from "./calls.js";
import { h, meter, num, signed, words } from "./dom.js";
import { advantageTerms } from "./terms.js";

// `go(row)` opens a sibling, `copy()` copies the address of this page.
export function rolloutPage(run, row, detail, { go, copy, openStep }) {
  return h("article.rollout", { "data-row": row },
    header(run, row, detail, copy, openStep),
    siblingStrip(run, row, go),
    verdicts(run, row, detail),
    detail.has_text === false && h("p.note", null, "The run kept no texts of this rollout (record.text_share)."),
    detail.cut && h("p.note", null, "A text was longer than the record's limit and is cut."),
    section("Expected and given", comparison(detail), { id: "calls" }),
    section("Why this advantage", advantageTerms(detail.terms), { id: "terms" }),
    section("The judge", judge(detail.judge), { id: "judge" }),
    section("Response", detail.steps.map((step, k) => responseStep(step, k, detail.steps.length)), { id: "response" }),
    section("Prompt", detail.messages.map(message), { id: "prompt" }),
    detail.tools.length > 0 && section(`Tools (${detail.tools.length})`, detail.tools.map(tool), { id: "tools" }),
    section("Ground truth as stored", h("pre", null, detail.ground_truth), { closed: true }),
    section("All reward columns", columns(detail), { closed: true }),
  );
}

function header(run, row, detail, copy, openStep) {
  return h("header.rollout-head", null,
    h("div", null, h("h2", null,
      h("button.link", { onclick: () => openStep(detail.step), title: "all groups of this step" }, `step ${detail.step}`),
      h("span.muted", null, ` · ${detail.phase || ""} · `), detail.data_source || "", h("span.muted", null, ` · rollout ${detail.session}`),
    ), h("p.asked", null, run.groups.question[run.columns.group[row]])),
    h("button.quiet", { onclick: copy, title: "copy a link to this rollout (c)" }, "Copy link"),
  );
}

function siblingStrip(run, row, go) {
  const rows = run.siblings(row);
  if (rows.length < 2) return null;
  const { share, score, advantage } = run.columns;
  const strip = rows.map((other) =>
    h(`button.sibling${other === row ? ".here" : ""}`, {
      onclick: () => go(other),
      title: `outcome ${num(run.columns.outcome[other])}, judge ${num(score[other])}, A ${signed(advantage[other])}`,
      "aria-current": other === row ? "true" : null,
    }, h("span.number", null, signed(advantage[other])), meter(share[other], "outcome"), meter(score[other], "judge")),
  );
  return h("nav.siblings", { "aria-label": "rollouts of this prompt" }, h("span.muted", null, "group"), strip);
}

function verdicts(run, row, { outcome, judge, terms }) {
  const failed = outcome.outcome_valid === false;
  const span = outcome.outcome_max - outcome.outcome_min;
  return h("div.verdicts", null,
    h("div.big", null, h("span.label", null, "Outcome"),
      h("span.figure", null, failed ? "not verified" : signed(outcome.outcome), h("small", null, ` in ${num(outcome.outcome_min)} … ${num(outcome.outcome_max)}`)),
      meter(failed ? null : (outcome.outcome - outcome.outcome_min) / span, "outcome"),
      h("span.tags", null, (outcome.outcome_reasons?.length ? outcome.outcome_reasons : [outcome.outcome_reason]).filter(Boolean).map((reason) => h("span.tag", null, words(reason)))),
    ),
    h("div.big", null, h("span.label", null, "Judge"),
      h("span.figure", null, judge.reasoning === null ? "unscored" : num(judge.reasoning), judge.reasoning === null ? null : h("small", null, " in 0 … 1")),
      meter(judge.reasoning, "judge"),
      judge.failure ? h("span.tags", null, h("span.tag.bad", null, words(judge.failure))) : null,
    ),
    h("div.big", null, h("span.label", null, "Advantage"),
      h(`span.figure.${terms.advantage === null ? "muted" : terms.advantage < 0 ? "minus" : "plus"}`, null, terms.advantage === null ? "–" : signed(terms.advantage)),
      h("span.tags", null, terms.closed && terms.closed !== "open" && h("span.tag.bad", null, `closed: ${words(terms.closed)}`)),
    ),
  );
}

function judge(told) {
  const several = told.signals.length > 1;
  return [
    several && h("table.signals", null, h("tbody", null, told.signals.map((signal) =>
      h("tr", null, h("th", { scope: "row" }, signal.name), h("td.number", null, num(signal.score)), h("td", null, meter(signal.score, "judge")),
        h("td", null, signal.failure ? h("span.tag.bad", null, words(signal.failure)) : null))))),
    told.votes?.length ? h("p.muted", null, `votes ${told.votes.map((vote) => num(vote)).join(", ")}${told.spread === null ? "" : `, spread ${num(told.spread)}`}`) : null,
    told.words ? h("blockquote", null, h("pre", null, told.words)) : h("p.muted", null, told.failure ? "The judge said nothing." : "No words were kept."),
    told.judge_tokens ? h("p.muted", null, `${told.judge_tokens} tokens`) : null,
  ];
}

function responseStep(step, place, steps) {
  return h("div.step", null,
    steps > 1 && h("h4", null, `text ${place + 1} of ${steps}`),
    h("p.legend.muted", null, h("span.kind.thought", null, "thought"), h("span.kind.call", null, "call"), h("span.kind.problem", null, "problem"),
      ` read as ${step.dialect}: ${words(step.status)}`, step.problems.length ? ` (${step.problems.map(words).join(", ")})` : ""),
    h("pre.text", null, step.pieces.map(([kind, text]) => (kind === "plain" ? text : h(`span.piece.${kind}`, null, text)))),
    step.answers.map((answer) => h("div.answer", null, h("span.label", null, "tool's answer"), h("pre", null, answer))),
  );
}

const message = ({ role, content }) => h("div.message", null, h("span.label", null, role), h("pre", null, content));

function tool({ name, description, schema }) {
  return h("details.tool", null, h("summary", null, h("code", null, name || "not a list of tools"), h("span.muted", null, " ", description.slice(0, 200))), h("pre", null, schema));
}

function columns(detail) {
  const numbers = { ...detail.outcome.parts, ...detail.columns };
  return [
    h("dl.facts", null, Object.entries(numbers).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, typeof value === "number" ? num(value) : String(value))))),
    h("dl.facts", null, ["tokens", "prompt_length", "min_version", "max_version", "group", "key"].map((name) => h("div", null, h("dt", null, words(name)), h("dd", null, String(detail[name] ?? "–"))))),
    detail.extra_info ? h("pre", null, detail.extra_info) : null,
  ];
}

function section(title, content, { id = null, closed = false } = {}) {
  return h("details.section", { open: !closed, id }, h("summary", null, h("h3", null, title)), content);
}
