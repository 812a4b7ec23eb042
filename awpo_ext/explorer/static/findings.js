// What a person should look at first in a run: simple rules on the shares of odd rollouts. They point, they do not prove.

import { num } from "./dom.js";
import { maskOf } from "./filters.js";

export function findings(run) {
  if (!run.count) return [];
  const columns = run.prepared;
  const found = [
    byWord(run, "problem", 0.1, (word) => `cannot be read: ${word}`),
    byWord(run, "failure", 0.05, (word) => `not scored by the judge: ${word}`),
    quick(columns, run.count, "null_truth", 0.005, "have a null in the ground truth"),
    quick(columns, run.count, "unverified", 0.01, "could not be verified"),
    judgeSaysNothing(run),
    judgeAgainstOutcome(run),
    quick(columns, run.count, "judge_high", 0.1, "please the judge and fail"),
    quick(columns, run.count, "judge_low", 0.1, "succeed and displease the judge"),
    quick(columns, run.count, "all_wrong", 0.5, "are in groups in which nobody is right"),
  ];
  return [...alarms(run), ...found.filter(Boolean)];
}

const ALARM = "awpo/alarm/since/";
const FILTER_OF_ALARM = { gap: "judge_high", second: "judge_high", reliability: "judge_high", unparseable: "unparseable", unscored: "unscored" };

// What the run's guard has raised, latest first (docs/guard.md).
function alarms(run) {
  const { steps, series } = run.metrics;
  return Object.keys(series).filter((name) => name.startsWith(ALARM)).flatMap((name) => {
    const kind = name.slice(ALARM.length);
    const filter = kind in FILTER_OF_ALARM ? { f: FILTER_OF_ALARM[kind] } : {};
    return series[name].map((since, i) => since === null ? null : { step: steps[i], text: `Alarm ${kind} in step ${steps[i]}: since step ${since}`, share: null, filter, level: "bad" });
  }).filter(Boolean).sort((a, b) => b.step - a.step);
}

function quick(columns, count, name, least, text) {
  let n = 0;
  const mask = maskOf([name]);
  for (let i = 0; i < count; i++) if (columns.flags[i] & mask) n++;
  return n / count > least ? { share: n / count, text, filter: { f: name }, level: n / count > 0.3 ? "bad" : "warn" } : null;
}

// The most frequent word of a facet, where all of them together are more than `least`.
function byWord(run, name, least, tell) {
  const tally = new Map();
  for (const code of run.columns[name] || []) if (code > 0) tally.set(code, (tally.get(code) || 0) + 1);
  const all = [...tally.values()].reduce((a, b) => a + b, 0);
  if (all / run.count <= least) return null;
  const [code] = [...tally].sort((a, b) => b[1] - a[1])[0];
  const filter = name === "problem" ? { f: "unparseable" } : { f: "unscored" };
  const words = run.words[name][code].replaceAll("_", " ");
  return { share: all / run.count, text: tell(tally.size > 1 ? `mostly ${words}` : words), filter, level: all / run.count > 0.3 ? "bad" : "warn" };
}

function judgeSaysNothing(run) {
  const { score } = run.columns;
  const known = score.filter((value) => !Number.isNaN(value));
  if (known.length < 20) return null;
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  const deviation = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / known.length);
  return deviation < 0.02 ? { share: null, text: `The judge says ${mean.toFixed(2)} to nearly everything`, filter: { sort: "judge" }, level: "bad" } : null;
}

// Correlation of judge and outcome within groups, where both differ.
function judgeAgainstOutcome(run) {
  const { group, share, score } = run.columns;
  const sums = new Map();
  for (let i = 0; i < run.count; i++) {
    if (Number.isNaN(share[i]) || Number.isNaN(score[i])) continue;
    const sum = sums.get(group[i]) || [0, 0, 0];
    sums.set(group[i], [sum[0] + 1, sum[1] + share[i], sum[2] + score[i]]);
  }
  let both = 0, outcome = 0, judge = 0;
  for (let i = 0; i < run.count; i++) {
    if (Number.isNaN(share[i]) || Number.isNaN(score[i])) continue;
    const [n, a, b] = sums.get(group[i]);
    both += (share[i] - a / n) * (score[i] - b / n);
    outcome += (share[i] - a / n) ** 2;
    judge += (score[i] - b / n) ** 2;
  }
  const correlation = both / Math.sqrt(outcome * judge);
  return correlation < -0.1
    ? { share: null, text: `The judge disagrees with the outcome (correlation ${num(correlation)} within groups)`, filter: { f: "judge_high" }, level: "bad" }
    : null;
}
