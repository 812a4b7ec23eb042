// Which rollouts are shown, and in what order. Pure: columns and a choice in, row numbers out.
// Columns are Float32Arrays, NaN for "not known"; codes are places in the run's `words`.

const HIGH = 0.7; // of the judge's score
const LOW = 0.3;
const SOLVED = 0.9; // of the outcome's range

// `share` is the outcome's place in its row's range, from 0 to 1.
export const QUICK = {
  judge_high: {
    label: "Judge high, outcome low",
    help: `judge ≥ ${HIGH}, outcome in the lowest ${100 * LOW} % of its range: flattery, or a wrong outcome reward`,
    test: (c, i) => c.score[i] >= HIGH && c.share[i] <= LOW,
  },
  judge_low: {
    label: "Outcome high, judge low",
    help: `outcome in the highest ${Math.round(100 * (1 - SOLVED))} % of its range, judge ≤ ${LOW}: a lucky answer, or a wrong judge`,
    test: (c, i) => c.share[i] >= SOLVED && c.score[i] <= LOW,
  },
  unscored: { label: "Unscored", help: "the judge gave no score; this is not a score of 0", test: (c, i) => c.failure[i] > 0 },
  unparseable: { label: "Unparseable", help: "the parser found no well-formed calls and no answer", test: (c, i) => c.problem[i] > 0 },
  null_truth: {
    label: "Null in the ground truth",
    help: "an expected call has an argument that is null: often an artefact of parquet, not what the tool wants",
    test: (c, i) => c.null_truth[i] === 1,
  },
  unverified: { label: "Not verified", help: "the verifier itself failed; the outcome does not count", test: (c, i) => c.verified[i] === 0 },
  all_wrong: { label: "Nobody is right", help: "every rollout of the group is below half of the outcome's range", test: (c, i) => c.best[i] < 0.5 },
  all_right: { label: "Everybody is right", help: "every rollout of the group has the highest outcome", test: (c, i) => c.worst[i] >= 0.999 },
};

// Facets: one value of a column that holds codes. Code 0 means that nothing is the matter and is not listed.
export const FACETS = {
  reason: { label: "Outcome, by reason", all: true },
  problem: { label: "Unparseable, by reason" },
  failure: { label: "Unscored, by reason" },
  closed: { label: "Closed, by reason" },
  phase: { label: "Phase", all: true },
  source: { label: "Data source", all: true },
};

export const SORTS = {
  newest: { label: "newest first", key: (c, i) => i },
  oldest: { label: "oldest first", key: (c, i) => -i },
  advantage: { label: "largest |A|", key: (c, i) => Math.abs(c.advantage[i]) },
  disagreement: { label: "judges disagree most", key: (c, i) => c.disagreement[i] },
  gap: { label: "judge above outcome", key: (c, i) => c.score[i] - c.share[i] },
  gap_down: { label: "outcome above judge", key: (c, i) => c.share[i] - c.score[i] },
  judge: { label: "judge's score", key: (c, i) => c.score[i] },
  outcome: { label: "outcome", key: (c, i) => c.share[i] },
  length: { label: "longest response", key: (c, i) => c.length[i] },
};

// `best` and `worst`: of each rollout's group the highest and the lowest share. Computed once a refresh.
export function withGroupExtremes(columns, count) {
  const best = new Float32Array(count).fill(NaN);
  const worst = new Float32Array(count).fill(NaN);
  const high = new Map();
  const low = new Map();
  for (let i = 0; i < count; i++) {
    const group = columns.group[i];
    const share = columns.share[i];
    if (Number.isNaN(share)) continue;
    high.set(group, Math.max(high.get(group) ?? -Infinity, share));
    low.set(group, Math.min(low.get(group) ?? Infinity, share));
  }
  for (let i = 0; i < count; i++) {
    best[i] = high.get(columns.group[i]) ?? NaN;
    worst[i] = low.get(columns.group[i]) ?? NaN;
  }
  return { ...columns, best, worst };
}

// choice: {quick: [names], facets: {name: code}, from, to, hits: Set | null, sort}. `steps` gives each group's step.
export function select(columns, count, steps, choice) {
  const rows = new Uint32Array(count);
  let found = 0;
  const tests = testsOf(columns, steps, choice);
  for (let i = 0; i < count; i++) if (tests.every((test) => test(i))) rows[found++] = i;
  return ordered(rows.subarray(0, found), columns, choice.sort);
}

function testsOf(columns, steps, choice, but = null) {
  const tests = choice.quick.filter((name) => QUICK[name]).map((name) => (i) => QUICK[name].test(columns, i));
  for (const [name, code] of Object.entries(choice.facets)) {
    if (name !== but && columns[name]) tests.push((i) => columns[name][i] === code);
  }
  if (choice.from !== null) tests.push((i) => steps[columns.group[i]] >= choice.from);
  if (choice.to !== null) tests.push((i) => steps[columns.group[i]] <= choice.to);
  if (choice.hits) tests.push((i) => choice.hits.has(i));
  return tests;
}

// By the sort's key, largest first; rows without one come last.
function ordered(rows, columns, sort) {
  if (sort === "newest") return rows.slice().reverse();
  if (sort === "oldest") return rows.slice();
  const { key } = SORTS[sort] || SORTS.newest;
  const keys = new Float64Array(columns.group.length);
  for (const row of rows) {
    const value = key(columns, row);
    keys[row] = Number.isNaN(value) ? -Infinity : value;
  }
  return rows.slice().sort((a, b) => keys[b] - keys[a] || a - b || 0);
}

// How many rollouts each filter would show: {quick: {name: n}, facets: {name: Map(code -> n)}}.
// A facet's own choice does not count for its numbers, so that another value can be chosen.
export function counts(columns, count, steps, choice) {
  const quick = Object.fromEntries(Object.keys(QUICK).map((name) => [name, 0]));
  const all = testsOf(columns, steps, choice);
  for (let i = 0; i < count; i++) {
    if (!all.every((test) => test(i))) continue;
    for (const name in QUICK) if (QUICK[name].test(columns, i)) quick[name]++;
  }
  const facets = {};
  for (const name of Object.keys(FACETS)) {
    if (!columns[name]) continue;
    const tests = choice.facets[name] === undefined ? all : testsOf(columns, steps, choice, name);
    const tally = new Map();
    for (let i = 0; i < count; i++) {
      const code = columns[name][i];
      if (Number.isNaN(code) || (code === 0 && !FACETS[name].all)) continue;
      if (tests.every((test) => test(i))) tally.set(code, (tally.get(code) || 0) + 1);
    }
    facets[name] = tally;
  }
  return { quick, facets };
}
