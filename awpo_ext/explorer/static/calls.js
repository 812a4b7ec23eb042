// What was expected against what was given, call by call and argument by argument.

import { h, words } from "./dom.js";

const GOOD = new Set(["equal", "optional"]);
const MEANING = {
  equal: "right",
  optional: "may be left out",
  missing_call: "call missing",
  extra_call: "nobody wants this call",
  unknown_tool: "no such tool",
  missing_argument: "missing",
  extra_argument: "nobody wants this",
  wrong_value: "wrong value",
  wrong_type: "wrong type",
  wrong_length: "wrong length",
  wrong_keys: "wrong keys",
};
const meaning = (verdict) => MEANING[verdict] || words(verdict);
const mark = (verdict) => h(`span.verdict.${GOOD.has(verdict) ? "good" : "bad"}`, null, GOOD.has(verdict) ? "✓ " : "✗ ", meaning(verdict));

export function comparison(detail) {
  const { calls, problem, as_stored } = detail.comparison;
  const again = detail.read_again;
  const notes = [];
  if (!as_stored && detail.unread && again.calls) {
    notes.push(
      h("p.note.bad", null, `The run could not read this response (${words(detail.unread)}), but read as `,
        h("code", null, again.dialects.join(", ")), ` it has ${again.calls} ${again.calls === 1 ? "call" : "calls"}, shown here. `,
        "If this is frequent, the verifier's dialect is wrong: see verifier_kwargs.dialect."),
    );
  } else if (detail.unread) {
    notes.push(h("p.note.bad", null, `The run could not read this response: ${words(detail.unread)}.`));
  }
  if (problem) notes.push(h("p.note", null, problem));
  if (!calls.length && !problem) notes.push(h("p.note", null, "No call was expected and none was given."));
  return [notes, calls.map(callTable)];
}

function callTable(call) {
  const rows = call.arguments.map((one) =>
    h(`tr.${GOOD.has(one.verdict) ? "good" : "bad"}`, null,
      h("th", { scope: "row" }, one.name),
      h("td", null, value(one.expected)),
      h("td", null, value(one.given)),
      h("td", null, mark(one.verdict), nullHint(one)),
    ),
  );
  return h("table.calls", null,
    h("caption", null, h("code", null, call.name), " ", mark(call.verdict)),
    h("thead", null, h("tr", null, ...["argument", "expected", "given", ""].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", null, rows.length ? rows : h("tr", null, h("td.muted", { colspan: 4 }, "no arguments"))),
  );
}

const value = (json) => (json === null ? h("span.muted", null, "–") : h("code", null, json));
const nullHint = (one) =>
  one.expected === "null" && !GOOD.has(one.verdict) && h("span.hint", null, " the ground truth wants null here: an artefact of the data?");
