// Elements and texts. Every string of a run reaches the page through `visible`, as text nodes: never as markup.

// Control characters (but newline and tab), bidi marks and overrides, zero-width and other invisible characters, tags,
// and halves of surrogate pairs.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\udb40[\udc00-\udfff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

const code = (char) => "U+" + char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");

// The text with what cannot be seen in it written out, for titles and attributes.
export const plain = (text) => String(text).replace(HIDDEN, (char) => `⟨${code(char)}⟩`);

// The same as nodes, each hidden character as a mark of its own.
export function visible(text) {
  const parts = [];
  let from = 0;
  text = String(text);
  for (const found of text.matchAll(HIDDEN)) {
    if (found.index > from) parts.push(document.createTextNode(text.slice(from, found.index)));
    const mark = document.createElement("span");
    mark.className = BIDI.test(found[0]) ? "hidden-char bidi" : "hidden-char";
    mark.textContent = code(found[0]);
    parts.push(mark);
    from = found.index + found[0].length;
  }
  if (from < text.length) parts.push(document.createTextNode(text.slice(from)));
  return parts;
}

const SVG = new Set(["svg", "path", "line", "rect", "circle", "g", "text"]);

// h("button.quiet", {onclick, title}, "text", node, [more], null)
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = SVG.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, css] of Object.entries(value)) element.style.setProperty(property, css);
    else if (key === "value") element.value = value;
    else element.setAttribute(key, value === true ? "" : plain(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    if (child instanceof Node) element.append(child);
    else element.append(...visible(child));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

// A number as a person reads it: about three digits; an en dash where there is none.
export function num(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return minus(value.toExponential(1));
  const places = size >= 1000 ? 0 : size >= 100 ? 1 : Number.isInteger(value) ? 0 : digits - 1;
  return minus(value.toFixed(Math.min(places, 3)));
}

export const minus = (text) => text.replaceAll("-", "−");
export const signed = (value) => (value > 0 ? "+" : "") + num(value);
export const count = (value) => value.toLocaleString("en").replaceAll(",", " ");
export const percent = (share) => `${(100 * share).toFixed(share < 0.01 ? 1 : 0)} %`;
export const words = (code) => String(code).replaceAll("_", " ");

// A bar from 0 to 1, or from the middle to either side for a signed value in units of `scale`.
export function meter(share, kind = "") {
  const known = share !== null && !Number.isNaN(share);
  const width = known ? Math.max(0, Math.min(1, share)) * 100 : 0;
  return h(`span.meter${kind && "." + kind}${known ? "" : ".none"}`, null, h("span", { style: { width: `${width}%` } }));
}

export function signedMeter(value, scale) {
  const known = value !== null && !Number.isNaN(value);
  const size = known ? Math.min(1, Math.abs(value) / (scale || 1)) * 50 : 0;
  const left = value < 0 ? 50 - size : 50;
  return h(`span.meter.signed.${value < 0 ? "minus" : "plus"}`, null, h("span", { style: { left: `${left}%`, width: `${size}%` } }));
}

export function toast(text) {
  const note = h("div.toast", { role: "status" }, text);
  document.body.append(note);
  setTimeout(() => note.remove(), 2500);
}
