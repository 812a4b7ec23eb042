// Curves of one metric for several runs: uPlot with the page's colours, a readout under the pointer, a click that tells the step.

import { h, minus, num } from "./dom.js";

export const COLOURS = ["--run-1", "--run-2", "--run-3", "--run-4", "--run-5", "--run-6"];
export const colour = (index) => `var(${COLOURS[index % COLOURS.length]})`;
const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].flatMap((unit) => [unit, 2 * unit, 5 * unit]); // there is no half a step
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// With as many places as ticks that are `step` apart have.
function tickText(tick, step) {
  let places = 0;
  while (places < 5 && Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) > 1e-9) places++;
  return places > 4 || Math.abs(tick) >= 1e4 ? num(tick) : minus(tick.toFixed(places));
}

// The steps of all runs as one axis, and each run's values on it; null where a run has none.
export function aligned(runs, name) {
  const steps = [...new Set(runs.flatMap((run) => run.metrics.steps))].sort((a, b) => a - b);
  const values = runs.map((run) => {
    const series = run.metrics.series[name];
    const at = new Map(series ? run.metrics.steps.map((step, i) => [step, series[i]]) : []);
    return steps.map((step) => at.get(step) ?? null);
  });
  return { steps, values };
}

// A card with a chart. `onstep(step)` is called on a click.
export function chartCard(name, label, runs, onstep) {
  const { steps, values } = aligned(runs, name);
  const readout = h("span.readout", null, lastValues(values));
  const body = h("div.chart", { role: "img", "aria-label": `${label} by step` });
  const card = h("figure.card.chart-card", null, h("figcaption", null, h("span", { title: name }, label), readout), body);
  card.draw = () => {
    body.replaceChildren();
    const width = Math.floor(body.clientWidth) || 320;
    new uPlot(options(runs, values, width, readout, onstep), [steps, ...values], body);
  };
  return card;
}

const lastValues = (values) => values.map((one) => num(one.findLast((value) => value !== null))).join(" · ");

function options(runs, values, width, readout, onstep) {
  const axis = { stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const pointsFor = (one) => one.filter((value) => value !== null).length;
  return {
    width,
    height: 150,
    legend: { show: false },
    cursor: { sync: { key: "step" }, points: { size: 6 }, drag: { x: true, y: false } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 24, incrs: WHOLE, values: (_, ticks) => ticks.map(String) },
      { ...axis, size: 48, values: (_, ticks, axisIndex, space, step) => ticks.map((tick) => tickText(tick, step)) },
    ],
    series: [
      {},
      ...runs.map((run, k) => ({
        label: run.info.name,
        stroke: css(COLOURS[run.index % COLOURS.length]),
        width: 1.75,
        spanGaps: true,
        points: { show: pointsFor(values[k]) < 40, size: 4 },
      })),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const at = plot.cursor.idx;
          readout.textContent =
            at === null || at === undefined
              ? lastValues(values)
              : `step ${plot.data[0][at]}:  ${plot.data.slice(1).map((one) => num(one[at])).join(" · ")}`;
        },
      ],
      ready: [
        (plot) => {
          let from = 0;
          plot.over.addEventListener("mousedown", (event) => (from = event.clientX));
          plot.over.addEventListener("click", (event) => {
            if (Math.abs(event.clientX - from) < 3 && plot.cursor.idx !== null) onstep(plot.data[0][plot.cursor.idx]);
          });
        },
      ],
    },
  };
}
