"use strict";
// What all parts of the page share: the data, elements, numbers, and which runs are shown.

const report = JSON.parse(document.getElementById("data").textContent);
const runs = report.runs;

/** An element with attributes and children; texts are always texts, never HTML. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A table with a caption; `head` are texts, `rows` are lists of a header and cells. */
function table(caption, head, rows) {
  const cell = (content, tag, attributes) =>
    content instanceof HTMLTableCellElement ? content : element(tag, attributes, content);
  return element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head.map((text) => cell(text, "th", { scope: "col" })))),
    element(
      "tbody",
      {},
      ...rows.map(([first, ...others]) =>
        element("tr", {}, cell(first, "th", { scope: "row" }), ...others.map((other) => cell(other, "td", {}))),
      ),
    ),
  );
}

/** A number as a reader wants it: four digits, an em dash for none. */
function shown(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  if (Number.isInteger(number)) return String(number).replace("-", "−");
  const size = Math.abs(number);
  const text = size !== 0 && (size < 1e-3 || size >= 1e6) ? number.toExponential(2) : number.toPrecision(4);
  return text.replace("-", "−");
}

/** A value of a setting. */
function valueText(value) {
  if (value === undefined || value === null) return "–";
  return typeof value === "string" ? value || "(empty)" : JSON.stringify(value);
}

/** The colours of Okabe and Ito, those first that stand out on the page's background. */
const PALETTES = {
  light: ["#0072b2", "#d55e00", "#007a59", "#a8457d", "#3a93c9", "#a86f00", "#222222"],
  dark: ["#56b4e9", "#e69f00", "#2fc79a", "#e79ac6", "#f0e442", "#ff8a4c", "#eeeeee"],
};
/** As many strokes as colours: with each, the lines of a run are told apart. */
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [18, 5], [10, 3, 2, 3, 2, 3]];
/** The border of a line's mark in the legend, for each of these dashes. */
const BORDERS = ["solid", "dashed", "dotted", "double", "groove", "ridge", "outset"];

const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

function colour(number) {
  const palette = darkScheme.matches ? PALETTES.dark : PALETTES.light;
  return palette[number % palette.length];
}

/** A colour of the page by its name in the style sheet. */
function styled(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The numbers of the runs that are shown, and who wants to know when they change. */
const chosenRuns = new Set(runs.map((_, number) => number));
const watchers = [];

function whenRunsChange(watcher) {
  watchers.push(watcher);
}

function runsChanged() {
  watchers.forEach((watcher) => watcher());
}

darkScheme.addEventListener("change", runsChanged);

/** Whether runs that differ in the seed only are one line, and whether there are any. */
const banded = { on: true, any: runs.some((run, number) => run.like !== number) };

/** The shown runs in groups: those that differ in the seed only together, or each by itself. */
function runGroups() {
  const groups = new Map();
  for (const each of visibleRuns()) {
    const key = banded.on ? each.run.like : each.number;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()];
}

/** The group of each run, by their numbers from 0: groups are counted by themselves, with those that are not shown, so that each keeps its colour. */
function groupOfEach() {
  const keys = runs.map((run, number) => (banded.on ? run.like : number));
  const order = [...new Set(keys)];
  return keys.map((key) => order.indexOf(key));
}

/** How many groups of runs there are. */
function groupCount() {
  return new Set(groupOfEach()).size;
}

function visibleRuns() {
  return runs.map((run, number) => ({ run, number })).filter(({ number }) => chosenRuns.has(number));
}

/** Gives a mark the colour of a run's lines; where there is one group of runs, colours tell numbers and not runs. */
function paint(mark, number) {
  mark.style.background = colour(groupOfEach()[number]);
  mark.style.display = groupCount() > 1 ? "" : "none";
}

/** A mark in the colour of a run, which its name follows. */
function swatch(number) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  paint(made, number);
  return made;
}

const UNITS = {
  share: "share",
  nats: "nats",
  logits: "logits",
  norm: "Euclidean norm",
  seconds: "seconds",
  count: "count",
  penalty: "penalty",
  number: "number",
};

/** What a number of a run is counted in: as recorded, or as its name says in records of old runs. */
function unitOf(name) {
  for (const run of runs) if (run.units[name]) return run.units[name];
  if (/norm_/.test(name)) return "norm";
  if (/loss|kl/.test(name)) return "nats";
  if (/acc/.test(name)) return "share";
  return "";
}

/** Whether a number is the norm of a parameter or of its gradient because a run logs norms: nobody has named it. */
function isLoggedNorm(name) {
  return runs.some((run) => run.logged_norms.includes(name));
}

/** The names of all recorded numbers, in the order in which they were recorded. */
const allNumbers = [...new Set(runs.flatMap((run) => Object.keys(run.numbers)))];

/** The paper's programs record -1 for a share or a divergence of a part that the model lacks. (A loss with a term of negative weight may be below 0.) */
function recorded(run, name, at) {
  const value = run.numbers[name]?.[at];
  return value === undefined || value === null || (value === -1 && ["share", "nats"].includes(unitOf(name))) ? null : value;
}

function last(run, name) {
  for (let at = run.iterations.length - 1; at >= 0; at--) {
    const value = recorded(run, name, at);
    if (value !== null) return value;
  }
  return null;
}
