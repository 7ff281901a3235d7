"use strict";
// What a model does in a sequence: attention, predictions, terms of the logits, at each moment that was kept.

/** Cividis in ten steps: its lightness rises evenly for every colour vision. */
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"].map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));

function cividis(share) {
  const at = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(at));
  return CIVIDIS[low].map((value, i) => Math.round(value + (at - low) * (CIVIDIS[low + 1][i] - value)));
}

/** What of all models is shown. */
const look = { moment: 0, sequence: 0, site: 0, head: 0, position: 0 };

const viewed = () => visibleRuns().filter(({ run }) => run.view);

/** A token's name as something that can be seen. */
function tokenText(view, token) {
  const name = view.tokens[token] ?? `#${token}`;
  const seen = [...name].map((c) => ({ " ": "␣", "\n": "↵", "\t": "⇥" })[c] ?? (c < " " ? "�" : c)).join("");
  return seen === "" ? "∅" : seen;
}

/** What a position is, by the marks of the task. */
function markOf(shown, t) {
  if (shown.marks[t] > 0) return "marked";
  return t > 0 && shown.marks[t - 1] > 0 ? "after a mark" : "";
}

/** The name of a site, short. */
function siteText(site) {
  return site.replace(/\.pattern$/, "").replace(/\.attention$/, "").replace(/^layers\./, "layer ");
}

/** The iterations of all moments of the runs that are shown; `null` is the end. */
function moments() {
  const found = [...new Set(viewed().flatMap(({ run }) => run.view.moments.map((moment) => moment.iteration)))];
  return found.sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
}

function momentText(iteration) {
  return iteration === null ? "final weights" : `iteration ${iteration}`;
}

/** The last moment of a view that is not after this iteration; its first one if all are after it. */
function momentOf(view, iteration) {
  const before = view.moments.filter((moment) => (moment.iteration ?? Infinity) <= (iteration ?? Infinity));
  return before[before.length - 1] ?? view.moments[0];
}

/** The packed numbers of a sequence, read where they are asked for. */
class Packed {
  constructor(view, moment, sequence) {
    const text = atob(moment.data[sequence]);
    this.bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    this.words = new DataView(this.bytes.buffer);
    this.view = view;
    this.moment = moment;
    this.length = view.sequences[sequence].x.length;
    this.triangle = (this.length * (this.length + 1)) / 2;
    const heads = view.patterns.reduce((sum, pattern) => sum + pattern.heads, 0);
    this.predictions = heads * this.triangle;
    this.terms = this.predictions + this.length * (4 * view.top + 4);
  }

  /** The weights with which a position looks at those up to it. */
  weights(site, head, t) {
    const before = this.view.patterns.slice(0, site).reduce((sum, pattern) => sum + pattern.heads, 0);
    const start = (before + head) * this.triangle + (t * (t + 1)) / 2;
    const [low, high] = this.moment.ranges[site];
    const byRoot = low >= 0 && high <= 1;
    return Array.from(this.bytes.subarray(start, start + t + 1), (byte) => {
      const share = byte / 255;
      return byRoot ? share * share : low + share * (high - low);
    });
  }

  /** The likely tokens at a position, and the probability and the rank of the next token. */
  predicted(t) {
    const { top } = this.view;
    const start = this.predictions + t * (4 * top + 4);
    const word = (i) => this.words.getUint16(start + 2 * i, true);
    const tokens = Array.from({ length: top }, (_, i) => ({ token: word(i), probability: word(top + i) / 65535 }));
    return { tokens: tokens.filter(({ token, probability }, i) => i === 0 || probability > 0 || token > 0), probability: word(2 * top) / 65535, rank: word(2 * top + 1) };
  }

  /** What each term adds to the logit of the next token. */
  logitTerms(t) {
    const count = this.view.terms.length;
    const start = this.terms + 2 * t * count;
    return this.view.terms.map((name, i) => ({ name, adds: (this.words.getInt16(start + 2 * i, true) / 32767) * this.moment.largest }));
  }
}

const unpacked = new Map();

function packedOf(number, moment, sequence) {
  const key = `${number} ${moment.iteration} ${sequence}`;
  if (!unpacked.has(key)) {
    if (unpacked.size > 64) unpacked.clear();
    unpacked.set(key, new Packed(runs[number].view, moment, sequence));
  }
  return unpacked.get(key);
}

/** A cell with a bar: how much of the largest a number is; those below zero go to the left. */
function barCell(text, share, signed) {
  const bar = element("span", { class: share < 0 ? "bar negative" : "bar", "aria-hidden": "true" });
  const size = 100 * Math.min(1, Math.abs(share)) * (signed ? 0.5 : 1);
  bar.style.width = `${size}%`;
  bar.style.left = signed ? `${share < 0 ? 50 - size : 50}%` : "0";
  return element("td", { class: "barred" }, element("span", { class: "value" }, text), element("span", { class: signed ? "track signed" : "track", "aria-hidden": "true" }, bar));
}

/** The pattern of a head as a picture, with the position's row framed. */
function drawMap(canvas, packed, site, head) {
  const { length } = packed;
  const room = Math.max(160, Math.min(420, canvas.parentElement.clientWidth));
  const dots = Math.round(room * devicePixelRatio);
  canvas.width = dots;
  canvas.height = dots;
  canvas.style.width = `${room}px`;
  canvas.style.height = `${room}px`;
  const picture = new ImageData(length, length);
  const [low, high] = packed.moment.ranges[site];
  const scale = low >= 0 && high <= 1 ? [0, 1] : [low, high];
  for (let t = 0; t < length; t++) {
    packed.weights(site, head, t).forEach((weight, key) => {
      picture.data.set([...cividis((weight - scale[0]) / (scale[1] - scale[0])), 255], 4 * (t * length + key));
    });
  }
  const small = element("canvas", { width: length, height: length });
  small.getContext("2d").putImageData(picture, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, dots, dots);
  const cell = dots / length;
  context.strokeStyle = styled("ink");
  context.lineWidth = Math.max(1, 1.5 * devicePixelRatio);
  context.strokeRect(0.5, look.position * cell, Math.max(cell, (look.position + 1) * cell) - 0.5, Math.max(cell, 2));
}

/** What a run's model does. */
function drawPane(pane) {
  const { run, number } = pane;
  const { view } = run;
  const sequence = Math.min(look.sequence, view.sequences.length - 1);
  const site = Math.min(look.site, view.patterns.length - 1);
  const moment = momentOf(view, moments()[look.moment]);
  const packed = packedOf(number, moment, sequence);
  const shownHere = view.sequences[sequence];
  const t = Math.min(look.position, packed.length - 1);
  const name = (at) => tokenText(view, shownHere.x[at]);
  const next = tokenText(view, shownHere.y[t]);

  const { tokens, probability, rank } = packed.predicted(t);
  const hasAttention = site >= 0;
  const head = hasAttention ? Math.min(look.head, view.patterns[site].heads - 1) : 0;
  const weights = hasAttention ? packed.weights(site, head, t) : [];
  const most = Math.max(...weights.map(Math.abs), 1e-9);

  // the sequence, shaded by attention
  const words = shownHere.x.map((_, at) => {
    const mark = markOf(shownHere, at);
    const word = element("span", { class: `token ${mark.split(" ")[0]}${at === t ? " here" : ""}`, "data-at": at, title: `position ${at}${mark ? `, ${mark}` : ""}${at <= t && hasAttention ? `, weight ${shown(weights[at])}` : ""}` }, name(at));
    if (at <= t && hasAttention) word.style.setProperty("--weight", `${Math.round((100 * Math.abs(weights[at])) / most)}%`);
    if (at > t) word.classList.add("later");
    return word;
  });
  pane.strip.replaceChildren(...words);

  pane.caption.textContent = `${momentText(moment.iteration)}, sequence ${sequence}, ${hasAttention ? `${siteText(view.patterns[site].site)}, head ${head}, ` : ""}position ${t}`;
  if (hasAttention) {
    drawMap(pane.map, packed, site, head);
    pane.map.setAttribute("aria-label", `Attention of ${siteText(view.patterns[site].site)}, head ${head}, from each of ${packed.length} positions (rows) to those before it (columns). The rows of the chosen position are in the table.`);
    const order = weights.map((_, at) => at).sort((a, b) => weights[b] - weights[a]);
    const rows = order.slice(0, 6).map((at) => [`${at}`, element("td", {}, element("code", {}, name(at))), markOf(shownHere, at).split(" ")[0] || "–", barCell(shown(weights[at]), weights[at] / most, false)]);
    pane.attention.replaceChildren(table(`Where position ${t} looks`, ["position", "token", "mark", "weight"], rows));
  } else {
    pane.attention.replaceChildren(element("p", { class: "hint" }, "The model has no attention."));
  }
  const rows = tokens.map(({ token, probability }, i) => [String(i + 1), element("td", {}, element("code", {}, tokenText(view, token)), token === shownHere.y[t] ? element("em", { class: "right" }, " comes next") : null), barCell(shown(Math.round(probability * 1e4) / 1e4), probability, false)]);
  if (tokens.every(({ token }) => token !== shownHere.y[t])) {
    rows.push([String(rank), element("td", {}, element("code", {}, next), element("em", {}, " comes next")), barCell(shown(Math.round(probability * 1e4) / 1e4), probability, false)]);
  }
  pane.predicted.replaceChildren(table(`What is predicted behind position ${t}`, ["rank", "token", "probability"], rows));

  const terms = packed.logitTerms(t);
  const largest = Math.max(...terms.map(({ adds }) => Math.abs(adds)), 1e-9);
  const sum = terms.reduce((sum, { adds }) => sum + adds, 0);
  const termRows = terms.map(({ name, adds }) => [element("th", { scope: "row" }, element("code", {}, name)), barCell(adds.toFixed(2).replace("-", "−"), adds / largest, true)]);
  termRows.push(["sum", barCell(sum.toFixed(2).replace("-", "−"), 0, true)]);
  const target = `the logit of the next token, ${next}, above the mean logit`;
  pane.terms.replaceChildren(table(`What adds to ${target}`, ["term", "logits"], termRows));

  const best = tokens[0];
  const at = weights.indexOf(Math.max(...weights));
  const looks = hasAttention ? ` It looks most at position ${at}, ${name(at)}, with ${shown(weights[at])}.` : "";
  const mark = markOf(shownHere, t);
  return `${viewed().length > 1 ? `${run.name}: ` : ""}${momentText(moment.iteration)}, position ${t}, token ${name(t)}${mark ? `, ${mark}` : ""}.${looks} It predicts ${tokenText(view, best.token)} with ${shown(Math.round(best.probability * 1e3) / 1e3)}; ${next} comes next.`;
}

/** A labelled control. */
function labelled(text, control, output) {
  return element("label", { for: control.id }, element("span", { class: "name" }, text), control, output ?? null);
}

function drawViewer() {
  const form = document.getElementById("viewer-controls");
  const place = document.getElementById("panes");
  const said = document.getElementById("viewer-said");
  let panes = [];

  const update = () => {
    const texts = panes.map(drawPane);
    said.textContent = texts.join(" ");
  };
  const limit = (value, count) => Math.max(0, Math.min(value, count - 1));

  const controls = () => {
    const views = viewed().map(({ run }) => run.view);
    const most = (of) => Math.max(...views.map(of));
    const all = moments();
    const sites = views.reduce((longest, view) => (view.patterns.length > longest.length ? view.patterns : longest), []);
    look.moment = limit(look.moment, all.length);
    look.sequence = limit(look.sequence, most((view) => view.sequences.length));
    look.site = limit(look.site, sites.length);
    const length = most((view) => view.sequences[0].x.length);
    look.position = limit(look.position, length);

    const option = (text, value, chosen) => element("option", { value, selected: value === chosen }, text);
    const heads = () => Math.max(1, most((view) => view.patterns[Math.min(look.site, view.patterns.length - 1)]?.heads ?? 1));
    const select = (id, key, texts) => element("select", { id, on: { change: (event) => { look[key] = Number(event.target.value); if (key === "site") fillHeads(); update(); } } }, ...texts.map((text, i) => option(text, i, look[key])));
    const headSelect = select("viewer-head", "head", []);
    const fillHeads = () => {
      look.head = limit(look.head, heads());
      headSelect.replaceChildren(...Array.from({ length: heads() }, (_, i) => option(`head ${i}`, i, look.head)));
    };
    fillHeads();

    const momentOut = element("output", { for: "viewer-moment" });
    const positionOut = element("output", { for: "viewer-position" });
    const tell = () => {
      momentOut.textContent = momentText(all[look.moment]);
      moment.setAttribute("aria-valuetext", momentOut.textContent);
      const { view } = viewed()[0].run;
      const first = view.sequences[Math.min(look.sequence, view.sequences.length - 1)];
      const t = Math.min(look.position, first.x.length - 1);
      const mark = markOf(first, t);
      positionOut.textContent = `${t}: ${tokenText(view, first.x[t])}${mark ? `, ${mark}` : ""}`;
      position.setAttribute("aria-valuetext", `position ${t}, token ${tokenText(view, first.x[t])}${mark ? `, ${mark}` : ""}`);
    };
    const slider = (id, key, count) => element("input", { type: "range", id, min: 0, max: count - 1, step: 1, value: look[key], disabled: count < 2, on: { input: (event) => { look[key] = Number(event.target.value); tell(); update(); } } });
    const moment = slider("viewer-moment", "moment", all.length);
    const position = slider("viewer-position", "position", length);
    const sequence = select("viewer-sequence", "sequence", Array.from({ length: most((view) => view.sequences.length) }, (_, i) => `sequence ${i}`));
    sequence.addEventListener("change", tell);
    form.replaceChildren(
      labelled("moment", moment, momentOut),
      labelled("sequence", sequence),
      labelled("layer", select("viewer-site", "site", sites.map(({ site }) => siteText(site)))),
      labelled("head", headSelect),
      labelled("position", position, positionOut),
    );
    tell();
    return { position, tell };
  };

  const rebuild = () => {
    const all = viewed();
    const without = visibleRuns().filter(({ run }) => !run.view);
    // runs with one reason are named together, by their number
    const reasons = [...Map.groupBy(without, ({ run }) => run.unseen)];
    const sentence = (reason, group) => {
      if (group.length > 1) return `${group.length} runs: ${reason}`;
      return runs.length > 1 ? `${group[0].run.name}: ${reason}` : reason[0].toUpperCase() + reason.slice(1);
    };
    const notes = reasons.map(([reason, group]) => element("p", { class: "hint" }, sentence(reason, group)));
    form.hidden = said.hidden = all.length === 0;
    if (all.length === 0) {
      place.replaceChildren(...notes);
      panes = [];
      return;
    }
    const { position, tell } = controls();
    const goTo = (t) => {
      look.position = t;
      position.value = t;
      tell();
      update();
    };
    panes = all.map(({ run, number }) => {
      const pane = { run, number, caption: element("p", { class: "caption" }), strip: element("div", { class: "strip", "aria-hidden": "true", tabindex: "-1" }), map: element("canvas", { class: "map", role: "img" }), attention: element("div"), predicted: element("div"), terms: element("div") };
      pane.strip.addEventListener("click", (event) => {
        const at = event.target.dataset.at;
        if (at !== undefined) goTo(Number(at));
      });
      pane.map.addEventListener("click", (event) => {
        const { top, height } = pane.map.getBoundingClientRect();
        const { length } = run.view.sequences[0].x;
        goTo(Math.min(length - 1, Math.floor(((event.clientY - top) / height) * length)));
      });
      const heading = element("h3", { id: `pane-${number}` }, runs.length > 1 ? swatch(number) : null, runs.length > 1 ? run.name : "What it does in a sequence");
      const key = element("p", { class: "hint key" }, element("span", { class: "token marked" }, "marked by the task"), " (in the paper's, a trigger) ", element("span", { class: "token after" }, "after a mark"), " ", element("span", { class: "token here" }, "position"), " the stronger its shade, the more a token is looked at");
      const figure = run.view.patterns.length > 0 ? element("figure", {}, pane.map, element("figcaption", { class: "hint" }, "attention: a row for each position, a column for each that it looks at; dark is 0, yellow the most")) : null;
      pane.whole = element("article", { class: "pane", "aria-labelledby": `pane-${number}` }, heading, pane.caption, pane.strip, key, element("div", { class: "parts" }, figure, element("div", { class: "tables" }, pane.attention, pane.predicted, pane.terms)), ...run.view.notes.map((note) => element("p", { class: "hint" }, note)));
      return pane;
    });
    place.replaceChildren(...panes.map((pane) => pane.whole), ...notes);
    update();
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  look.moment = Math.max(0, moments().length - 1);
  look.site = Math.max(0, ...viewed().map(({ run }) => run.view.patterns.length - 1));
  look.position = firstRead();
  whenRunsChange(rebuild);
  rebuild();
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) {
      width = window.innerWidth;
      update();
    }
  });
}

/** The first position whose next token the context tells, to begin with. */
function firstRead() {
  const first = viewed()[0]?.run.view.sequences[0];
  const found = first ? first.marks.findIndex((mark) => mark >= 2) : 0;
  return Math.max(0, found);
}
