// Where the page's data comes from: the server that `awpo view` runs, or the file that `awpo view --export` wrote.
// Both give the same answers (awpo_ext/explorer/api.py).

import { prepared } from "./filters.js";

class Server {
  live = true;

  async ask(path, parameters = {}) {
    const answer = await fetch(`api/${path}?${new URLSearchParams(parameters)}`);
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error || `the server answered ${answer.status}`);
  }
  json = async (path, parameters) => (await this.ask(path, parameters)).json();
  runs = () => this.json("runs");
  metrics = (run) => this.json("metrics", { run });
  rows = async (run, from, generation) => frame(await (await this.ask("rows", { run, from, generation })).arrayBuffer());
  rollout = (run, row, generation) => this.json("rollout", { run, row, generation });
  search = async (run, text) => (await this.json("search", { run, text })).rows;
}

// The file's data are gzip in base64, in blocks that are no scripts.
class File {
  live = false;
  parts = new Map();

  // The last few blocks of texts stay unpacked.
  async part(name) {
    if (!this.parts.has(name)) {
      this.parts.set(name, unpack(document.getElementById(`part-${name}`).textContent));
      if (this.parts.size > 40) this.parts.delete(this.parts.keys().next().value);
    }
    return this.parts.get(name);
  }
  json = async (name) => JSON.parse(new TextDecoder().decode(await this.part(name)));
  runs = () => this.json("runs");
  metrics = (run) => this.json(`metrics-${run}`);
  rows = async (run, from, generation) => (generation === 0 ? null : frame(await this.part(`rows-${run}`)));
  async rollout(run, row) {
    const { block } = (await this.runs()).runs[run];
    return (await this.json(`texts-${run}-${Math.floor(row / block)}`))[row % block];
  }
  async search(run, text) {
    const { block, rollouts } = (await this.runs()).runs[run];
    const wanted = text.toLowerCase();
    const found = [];
    for (let first = 0; first < rollouts; first += block) {
      const texts = await this.json(`texts-${run}-${first / block}`);
      texts.forEach((one, k) => one.search_text.some((part) => part.toLowerCase().includes(wanted)) && found.push(first + k));
    }
    return found;
  }
}

async function unpack(base64) {
  const packed = atob(base64);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// A head in JSON with its length before it, then a Float32Array for each column.
function frame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const columns = {};
  head.columns.forEach((name, k) => {
    columns[name] = new Float32Array(buffer, 4 + length + 4 * k * head.count, head.count);
  });
  return { ...head, columns };
}

export const source = () => (document.getElementById("part-runs") ? new File() : new Server());

// A run in the browser: its description, its metrics, and a column for each thing that rollouts are filtered by.
export class Run {
  metrics = { steps: [], series: {} };
  count = 0;
  read = false;
  generation = -1;
  columns = {};
  groups = { uid: [], step: [], question: [] };
  words = {};

  constructor(source, index, info) {
    Object.assign(this, { source, index, info });
  }

  // The curves alone: they are small, and come before the rollouts.
  async refreshMetrics() {
    const before = this.metrics.steps.length;
    this.metrics = await this.source.metrics(this.index);
    return this.metrics.steps.length !== before;
  }

  // Brings what is new; true where something was.
  async refresh() {
    const rows = await this.source.rows(this.index, this.count, this.generation);
    if (rows) this.add(rows);
    this.read = true;
    return (await this.refreshMetrics()) || Boolean(rows?.count);
  }

  add(rows) {
    const fresh = rows.generation !== this.generation;
    const old = fresh ? 0 : this.count;
    for (const name of rows.columns ? Object.keys(rows.columns) : []) {
      const column = new Float32Array(old + rows.count);
      if (old) column.set(this.columns[name]);
      column.set(rows.columns[name], old);
      this.columns[name] = column;
    }
    for (const name of Object.keys(this.groups)) {
      this.groups[name] = fresh ? rows.groups[name] : this.groups[name].concat(rows.groups[name]);
    }
    this.generation = rows.generation;
    this.words = rows.words;
    this.count = old + rows.count;
    this.prepared = this.count ? prepared(this.columns, this.count) : { group: [] };
  }

  step = (row) => this.groups.step[this.columns.group[row]];
  uid = (row) => this.groups.uid[this.columns.group[row]];
  word = (name, row) => this.words[name]?.[this.columns[name][row]] ?? "";
  address = (row) => `${this.step(row)}/${this.word("phase", row)}/${this.uid(row)}/${this.columns.member[row]}`;

  // The row of an address, -1 where the run has none.
  find(address) {
    const step = Number(address.split("/", 1)[0]);
    for (let row = 0; row < this.count; row++) if (this.step(row) === step && this.address(row) === address) return row;
    return -1;
  }

  rowsWhere(test) {
    const found = [];
    for (let row = 0; row < this.count; row++) if (test(row)) found.push(row);
    return found;
  }

  siblings = (row) => this.rowsWhere((other) => this.columns.group[other] === this.columns.group[row]);
  steps = () => [...new Set(this.groups.step)].sort((a, b) => a - b);
}
