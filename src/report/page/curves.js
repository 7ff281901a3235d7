"use strict";
// Curves of the recorded numbers: a chart for each unit, with the numbers to choose from.

const charts = [];

/** The groups of numbers: recalls and logged norms by themselves, all others by their unit. At first, a group shows the first of its numbers in the order of the records, as many as keep a chart to one line of each colour, and at least one; of logged norms none. */
function numberGroups() {
  const isRecall = (name) => runs.some((run) => run.recalls.includes(name));
  const isChart = (name) => runs.some((run) => run.iterations.some((_, at) => recorded(run, name, at) !== null));
  const titles = { nats: "Losses and divergences", share: "Accuracies and other shares", logits: "Logits", recalls: "Recalls of the weights", logged: "Norms of parameters and of their gradients", norm: "Norms", seconds: "Times", count: "Counts", penalty: "Penalties", number: "Numbers without a unit", "": "Other numbers" };
  const groups = new Map();
  for (const name of allNumbers.filter(isChart)) {
    const unit = unitOf(name);
    const key = isRecall(name) ? "recalls" : isLoggedNorm(name) ? "logged" : unit;
    const title = titles[key] ?? unit;
    if (!groups.has(key)) groups.set(key, { key, title, unit, names: [], chosen: new Set() });
    groups.get(key).names.push(name);
  }
  for (const group of groups.values()) {
    const first = group.key === "logged" ? 0 : Math.max(1, Math.floor(PALETTES.light.length / groupCount()));
    group.names.slice(0, first).forEach((name) => group.chosen.add(name));
  }
  const order = ["nats", "share", "recalls", "logits"];
  const place = (key) => (order.includes(key) ? order.indexOf(key) : order.length + (key === "logged" ? 1 : 0));
  return [...groups.values()].sort((a, b) => place(a.key) - place(b.key));
}

/** What runs are called that are one line: the name of one, or what they have in common and how many there are. */
function nameOf(members) {
  if (members.length === 1) return members[0].name;
  const common = members[0].name.split(", ").filter((part) => / = /.test(part) && !/^seed = /.test(part));
  const mean = `mean of ${members.length} seeds`;
  if (members.every((run) => / = /.test(run.name))) return [...common, mean].join(", ");
  return `${members[0].name} and others, ${mean}`;
}

/** The lines of a group of numbers: one for each number that is chosen and each run that is shown, or each group of runs. Colours tell the groups of runs, and strokes their numbers; after seven groups the colours begin anew, with strokes that come next. Where there is one group, colours tell the numbers. */
function linesOf(group) {
  const names = group.names.filter((name) => group.chosen.has(name));
  const [groups, alone, colours] = [groupOfEach(), groupCount() === 1, PALETTES.light.length];
  return runGroups().flatMap((each) => {
    const [members, { number }] = [each.map(({ run }) => run), each[0]];
    const who = nameOf(members);
    return names
      .filter((name) => members.some((run) => run.numbers[name]))
      .map((name) => {
        const at = group.names.indexOf(name);
        const [hue, stroke, strokes] = alone ? [at, 0, 1] : [groups[number], names.indexOf(name), names.length];
        return {
          label: runs.length === 1 ? name : names.length > 1 ? `${name}, ${who}` : who,
          members,
          name,
          colour: colour(hue),
          dash: DASHES[(Math.floor(hue / colours) * strokes + stroke) % DASHES.length],
        };
      });
  });
}

/** Iterations of all lines, and what each has there: the mean of its runs, the lowest and the highest; `undefined` where none was evaluated. */
function alignedData(lines, positive) {
  const all = new Set(lines.flatMap((line) => line.members.flatMap((run) => run.iterations)));
  const iterations = [...all].filter((iteration) => !positive || iteration > 0).sort((a, b) => a - b);
  const place = new Map(iterations.map((iteration, at) => [iteration, at]));
  const values = lines.map((line) => {
    const found = iterations.map(() => []);
    for (const run of line.members) {
      run.iterations.forEach((iteration, at) => found[place.get(iteration)]?.push(recorded(run, line.name, at)));
    }
    const of = (what) =>
      found.map((list) => {
        const known = list.filter((value) => value !== null);
        return known.length > 0 ? what(known) : list.length > 0 ? null : undefined;
      });
    return { means: of((list) => list.reduce((a, b) => a + b, 0) / list.length), lows: of((list) => Math.min(...list)), highs: of((list) => Math.max(...list)) };
  });
  return { iterations, values };
}

/** A colour that lets what is behind it through. */
function lighter(hex) {
  return `${hex}33`;
}

/** A value of a line at a place, with its band if it has one. */
function valueAt({ line, values }, at) {
  const range = line.members.length > 1 && values.lows[at] !== values.highs[at] ? ` (${shown(values.lows[at])} to ${shown(values.highs[at])})` : "";
  return shown(values.means[at]) + range;
}

/** Dashed lines across a chart: chance levels, and when something changed. */
function drawMarks(chart, group, lines) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = styled("muted");
  ctx.fillStyle = styled("muted");
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  const line = (x0, y0, x1, y1) => {
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
  };
  const chances = new Set(lines.flatMap(({ members, name }) => members.map((run) => run.chances[name])).filter((chance) => chance !== undefined));
  // levels that are too near for a text each have one together
  const together = [];
  for (const chance of [...chances].sort((a, b) => a - b)) {
    const y = chart.valToPos(chance, "y", true);
    line(bbox.left, y, bbox.left + bbox.width, y);
    const below = together.at(-1);
    if (below && below.y - y < 14 * devicePixelRatio) Object.assign(below, { y, highest: chance });
    else together.push({ y, lowest: chance, highest: chance });
  }
  ctx.textAlign = "right";
  for (const { y, lowest, highest } of together) {
    const levels = lowest === highest ? shown(lowest) : `${shown(lowest)} to ${shown(highest)}`;
    const text = chances.size > 1 ? `chance ${levels}` : "chance";
    ctx.fillText(text, bbox.left + bbox.width - 6, y - 4 * devicePixelRatio);
  }
  for (const iteration of changeIterations()) {
    const x = chart.valToPos(iteration, "x", true);
    line(x, bbox.top, x, bbox.top + bbox.height);
  }
  ctx.restore();
}

/** The text under the cursor, for those who do not see it. */
function cursorText(chart, lines, at) {
  if (at === null || at === undefined) return "no iteration is chosen";
  const values = lines.map((each) => `${each.line.label} ${valueAt(each, at)}`);
  return `iteration ${chart.data[0][at]}: ${values.join("; ")}`;
}

function drawChart(card) {
  const { group, place } = card;
  card.chart?.destroy();
  card.chart = null;
  const lines = linesOf(group);
  card.summary.textContent = `Choose numbers (${group.chosen.size} of ${group.names.length})`;
  if (lines.length === 0) {
    place.replaceChildren(element("p", { class: "hint" }, group.key === "logged" ? "None of these is drawn at first: choose some below." : "No number is chosen."));
    place.removeAttribute("role");
    place.removeAttribute("tabindex");
    card.numbers.replaceChildren();
    return;
  }
  place.replaceChildren();
  const { iterations, values } = alignedData(lines, card.logX.checked);
  const drawn = lines.map((line, i) => ({ line, values: values[i] }));
  // behind the lines come the edges of their bands, which have no place in the legend
  const bands = drawn.map((each, i) => ({ ...each, series: i + 1 })).filter(({ line }) => line.members.length > 1);
  const data = [iterations, ...values.map(({ means }) => means), ...bands.flatMap(({ values }) => [values.highs, values.lows])];
  const edge = (label) => ({ label, class: "edge", stroke: "transparent", width: 0, points: { show: false } });
  const axis = { stroke: () => styled("ink"), grid: { stroke: () => styled("faint"), width: 1 }, ticks: { stroke: () => styled("faint"), width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
  const share = group.unit === "share";
  const few = iterations.length <= 40;
  card.chart = new uPlot(
    {
      width: Math.max(280, place.clientWidth),
      height: 260,
      cursor: { sync: { key: "iterations" }, points: { size: 7 } },
      scales: {
        x: { time: false, distr: card.logX.checked ? 3 : 1 },
        y: share ? { range: [0, 1] } : { distr: card.log.checked ? 3 : 1 },
      },
      axes: [
        { ...axis, label: "iteration", labelSize: 18, size: 34 },
        { ...axis, label: UNITS[group.unit] ?? group.unit, labelSize: 20, size: 52 },
      ],
      series: [
        { label: "iteration", value: (_, value) => (value === null || value === undefined ? "–" : String(value)) },
        ...lines.map((line) => ({ label: line.label, stroke: line.colour, dash: line.dash, width: 2, points: { show: few, size: 5 }, value: (_, value, series, at) => (at === null || at === undefined ? "–" : valueAt(drawn[series - 1], at)) })),
        ...bands.flatMap(() => [edge("highest"), edge("lowest")]),
      ],
      legend: { markers: { width: 3, dash: (_, series) => BORDERS[Math.max(0, DASHES.indexOf(lines[series - 1]?.dash))] } },
      bands: bands.map(({ line }, i) => ({ series: [lines.length + 2 * i + 1, lines.length + 2 * i + 2], fill: lighter(line.colour) })),
      hooks: {
        draw: [(chart) => drawMarks(chart, group, lines)],
        setCursor: [
          (chart) => {
            const at = chart.cursor.idx;
            place.setAttribute("aria-valuetext", cursorText(chart, drawn, at));
            if (at !== null && at !== undefined) place.setAttribute("aria-valuenow", chart.data[0][at]);
          },
        ],
      },
    },
    data,
    place,
  );
  // its numbers are the slider's value, its switches the boxes below
  place.querySelector(".u-legend").setAttribute("aria-hidden", "true");
  Object.entries({
    role: "slider",
    tabindex: "0",
    "aria-label": `${group.title}: the iteration at which values are read`,
    "aria-valuemin": iterations[0],
    "aria-valuemax": iterations[iterations.length - 1],
    "aria-valuenow": iterations[iterations.length - 1],
    "aria-valuetext": cursorText(card.chart, drawn, iterations.length - 1),
  }).forEach(([name, value]) => place.setAttribute(name, value));
  card.drawNumbers = () => {
    const step = Math.max(1, Math.ceil(iterations.length / 40));
    const rows = iterations.map((_, at) => at).filter((at) => at % step === 0 || at === iterations.length - 1);
    const caption = step > 1 ? `${group.title}: every ${step}th evaluation` : group.title;
    card.numbers.replaceChildren(
      table(caption, ["iteration", ...lines.map((line) => line.label)], rows.map((at) => [String(iterations[at]), ...lines.map((_, i) => element("td", { class: "number" }, valueAt(drawn[i], at)))])),
    );
  };
  if (card.details.open) card.drawNumbers();
}

/** The arrow keys move the cursor of a chart, and with it that of all others. */
function moveCursor(card, event) {
  const chart = card.chart;
  if (!chart) return;
  const count = chart.data[0].length;
  const at = chart.cursor.idx ?? count - 1;
  const steps = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, PageUp: at + 10, PageDown: at - 10, Home: 0, End: count - 1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const to = Math.min(count - 1, Math.max(0, steps[event.key]));
  const iteration = chart.data[0][to];
  for (const { chart: each } of charts.filter((card) => card.chart)) {
    each.setCursor({ left: each.valToPos(iteration, "x"), top: each.over.clientHeight / 2 });
  }
}

function drawCurves() {
  const place = document.getElementById("charts");
  const groups = numberGroups();
  if (groups.length === 0) {
    place.replaceChildren(element("p", {}, "Nothing has been recorded yet."));
    return;
  }
  const resized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const card = charts.find((card) => card.place === target);
      const width = Math.max(280, Math.floor(contentRect.width));
      if (card?.chart && card.chart.width !== width) card.chart.setSize({ width, height: 260 });
    }
  });
  for (const group of groups) {
    const id = `chart-${group.key || "other"}`;
    const card = { group, chart: null, place: element("div", { class: "chart", id }), numbers: element("div", { class: "wide" }), summary: element("summary") };
    const redraw = { type: "checkbox", on: { change: () => drawChart(card) } };
    card.log = element("input", redraw);
    card.logX = element("input", redraw);
    const boxes = group.names.map((name) =>
      element(
        "label",
        {},
        element("input", {
          type: "checkbox",
          value: name,
          checked: group.chosen.has(name),
          on: {
            change: (event) => {
              if (event.target.checked) group.chosen.add(name);
              else group.chosen.delete(name);
              drawChart(card);
            },
          },
        }),
        name,
      ),
    );
    card.details = element("details", { on: { toggle: () => card.details.open && card.drawNumbers?.() } }, element("summary", {}, "The numbers as a table"), card.numbers);
    card.place.addEventListener("keydown", (event) => moveCursor(card, event));
    place.append(
      element(
        "article",
        { class: "card", "aria-labelledby": `${id}-title` },
        element("h3", { id: `${id}-title` }, group.title),
        card.place,
        element("details", { class: "choose" }, card.summary, element("fieldset", {}, element("legend", {}, `Numbers of ${group.title.toLowerCase()}`), ...boxes), element(
            "p",
            { class: "axes" },
            group.unit === "share" ? null : element("label", {}, card.log, "logarithmic axis"),
            element("label", {}, card.logX, "logarithmic iterations, without iteration 0"),
          )),
        card.details,
      ),
    );
    charts.push(card);
    drawChart(card);
    resized.observe(card.place);
  }
  if (banded.any) {
    const box = element("input", {
      type: "checkbox",
      id: "banded",
      checked: banded.on,
      on: {
        change: (event) => {
          banded.on = event.target.checked;
          runsChanged();
        },
      },
    });
    place.before(element("p", { class: "controls" }, element("label", {}, box, "One line for runs that differ in the seed only: their mean, and a band from the lowest to the highest")));
  }
  whenRunsChange(() => charts.forEach(drawChart));
}
