// The advantage as a sum of its terms, and where each comes from.

import { h, num, signed, signedMeter, words } from "./dom.js";

const CLOSED = {
  too_few_valid: "fewer than two rollouts of the group have a judge's score",
  no_variance: "the judge sees no difference between the rollouts of the group",
  saturated: "every rollout of the group already has the highest outcome",
  below_noise_floor: "the judge's differences in the group are below its noise",
};

export function advantageTerms(terms) {
  if (terms.advantage === null) return h("p.muted", null, "A validation has no advantages.");
  const total = (terms.outcome_part ?? 0) + (terms.judge_part ?? 0);
  const scale = Math.max(...[terms.outcome_part, terms.judge_part, total, terms.advantage].map((one) => Math.abs(one ?? 0)), 1e-9);
  const row = (name, value, told, kind = "") =>
    h(`tr${kind && "." + kind}`, null, h("th", { scope: "row" }, name), h("td.number", null, signed(value)), h("td", null, signedMeter(value, scale)), h("td.muted", null, told));
  const whitened = Math.abs(total - terms.advantage) > 1e-4 * Math.max(1, Math.abs(total));
  return [
    h("table.terms", null, h("tbody", null,
      row("outcome's part", terms.outcome_part, `d · A_out, with A_out = ${signed(terms.a_outcome)} and d = ${num(terms.difficulty)}`),
      row("judge's part", terms.judge_part, judgeTold(terms)),
      whitened && row("whitening", terms.advantage - total, "mean 0 and variance 1 over the tokens of the batch"),
      row("A", terms.advantage, "used for every token of the response", "sum"),
    )),
    h("dl.facts", null,
      fact("gate w", num(terms.gate), terms.closed && terms.closed !== "open" ? "closed" : ""),
      fact("difficulty d", num(terms.difficulty)),
      fact("success rate p", num(terms.success_rate)),
      fact("clip radius", num(terms.radius)),
      fact("leverage of the judge in the group", num(terms.leverage)),
      terms.kl_penalty ? fact("KL penalty in the reward", num(terms.kl_penalty)) : null,
    ),
    terms.closed && terms.closed !== "open"
      ? h("p.note", null, h("b", null, `The group is closed (${words(terms.closed)}): `), CLOSED[terms.closed] || "", ". The judge has no say in it.")
      : null,
  ];
}

const judgeTold = (terms) =>
  terms.gate === 0 ? "w = 0: the judge has no say" : `w = ${num(terms.gate)} of the way to the judge's A = ${signed(terms.a_judge)}`;
const fact = (name, value, note) => h("div", null, h("dt", null, name), h("dd", null, value, note && h("span.tag.bad", null, note)));
