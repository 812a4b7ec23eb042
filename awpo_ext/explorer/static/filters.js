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

// What is computed once for all filters, as the rollouts are read. `best` and `worst`: of each rollout's group the highest and the lowest share.
// `flags`: a bit for each quick filter.
export function prepared(columns, count) {
  const all = withGroupExtremes(columns, count);
  const flags = new Uint16Array(count);
  Object.values(QUICK).forEach(({ test }, bit) => {
    for (let i = 0; i < count; i++) if (test(all, i)) flags[i] |= 1 << bit;
  });
  return { ...all, flags };
}

export const maskOf = (names) => names.reduce((mask, name) => mask | (1 << Object.keys(QUICK).indexOf(name)), 0);

function withGroupExtremes(columns, count) {
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
  return ordered(matching(count, testsOf(columns, steps, choice)), columns, choice.sort);
}

function testsOf(columns, steps, choice, but = null) {
  const mask = maskOf(choice.quick);
  const tests = mask ? [(i) => (columns.flags[i] & mask) === mask] : [];
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

// How many rollouts each filter would show: {quick: {name: n}, facets: {name: Map(code -> n)}}; `rows` are those of `select`.
// A facet's own choice does not count for its numbers, so that another value can be chosen.
export function counts(columns, count, steps, choice, rows) {
  const quick = Object.fromEntries(Object.keys(QUICK).map((name, bit) => [name, flagged(columns.flags, rows, 1 << bit)]));
  const facets = {};
  for (const name of Object.keys(FACETS)) {
    if (!columns[name]) continue;
    const tests = testsOf(columns, steps, choice, name);
    facets[name] = tallied(columns[name], choice.facets[name] === undefined ? rows : matching(count, tests), FACETS[name].all);
  }
  return { quick, facets };
}

function flagged(flags, rows, mask) {
  let n = 0;
  for (let k = 0; k < rows.length; k++) if (flags[rows[k]] & mask) n++;
  return n;
}

function tallied(column, rows, zeros) {
  const tally = [];
  for (let k = 0; k < rows.length; k++) {
    const code = column[rows[k]];
    if (code > 0 || (zeros && code === 0)) tally[code] = (tally[code] || 0) + 1;
  }
  return new Map(tally.map((n, code) => [code, n]).filter(Boolean));
}

function matching(count, tests) {
  const rows = new Uint32Array(count);
  let found = 0;
  for (let i = 0; i < count; i++) {
    let holds = true;
    for (let k = 0; holds && k < tests.length; k++) holds = tests[k](i);
    if (holds) rows[found++] = i;
  }
  return rows.subarray(0, found);
}
