"use strict";
// The runs, their settings and their origin, as tables.

/** The runs with what they reached; with several, each can be left out. */
function drawRuns() {
  const place = document.getElementById("runs-table");
  const numbers = allNumbers.filter((name) => !isLoggedNorm(name));
  const chances = numbers.map((name) => runs.map((run) => run.chances[name]).find((chance) => chance !== undefined));
  const box = (run, number) =>
    runs.length === 1
      ? run.name
      : element(
          "label",
          { class: "run" },
          element("input", {
            type: "checkbox",
            checked: chosenRuns.has(number),
            on: {
              change: (event) => {
                if (event.target.checked) chosenRuns.add(number);
                else chosenRuns.delete(number);
                runsChanged();
              },
            },
          }),
          swatch(number),
          run.name,
        );
  const status = ({ status, error }) => (!error ? status : error.startsWith(status) ? error : `${status}: ${error}`);
  const rows = [
    ["status", ...runs.map(status)],
    ["iterations", ...runs.map((run) => String(run.done))],
    ...numbers.map((name, i) => {
      const unit = UNITS[unitOf(name)] || unitOf(name);
      const chance = chances[i] === undefined ? "" : `, chance ${shown(chances[i])}`;
      const header = element("th", { scope: "row" }, name, element("span", { class: "unit" }, ` ${unit}${chance}`));
      return [header, ...runs.map((run) => element("td", { class: "number" }, shown(last(run, name))))];
    }),
  ];
  const caption = runs.length === 1 ? "What it reached at its last evaluation." : "What each reached at its last evaluation. Runs without a tick are left out below.";
  place.replaceChildren(table(caption, ["", ...runs.map(box)], rows));
}

/** The settings, those that differ between runs marked. */
function drawSettings() {
  const place = document.getElementById("settings-table");
  const of = (run) => ({ ...run.settings, ...Object.fromEntries(Object.entries(run.made_of).map(([k, v]) => [`made of: ${k}`, v])) });
  const all = runs.map(of);
  const keys = [...new Set(all.flatMap((settings) => Object.keys(settings)))];
  const differs = (key) => all.some((settings) => valueText(settings[key]) !== valueText(all[0][key]));
  const several = runs.length > 1;
  const body = element("div", { class: "wide", role: "region", tabindex: "0", "aria-labelledby": "settings-title" });
  const found = element("span", { role: "status", "aria-live": "polite" });
  const draw = () => {
    const text = filter.value.trim().toLowerCase();
    const kept = keys.filter(
      (key) => (!only.checked || differs(key)) && (key.toLowerCase().includes(text) || all.some((s) => valueText(s[key]).toLowerCase().includes(text))),
    );
    const rows = kept.map((key) => {
      const name = element("th", { scope: "row" }, key, several && differs(key) ? element("em", { class: "differs" }, " differs") : null);
      return [name, ...all.map((settings) => element("td", several && differs(key) ? { class: "differs" } : {}, valueText(settings[key])))];
    });
    found.textContent = `${kept.length} of ${keys.length} settings`;
    body.replaceChildren(table(several ? "Settings; those that differ between runs are marked." : "Settings, and what the run was made of by them.", ["setting", ...runs.map((run) => run.name)], rows));
  };
  const filter = element("input", { type: "search", id: "settings-filter", on: { input: draw } });
  const only = element("input", { type: "checkbox", id: "settings-only", checked: several && keys.some(differs), on: { change: draw } });
  place.replaceChildren(
    element(
      "div",
      { class: "controls" },
      element("label", { for: "settings-filter" }, "Find "),
      filter,
      several ? element("label", {}, only, "only those that differ") : null,
      found,
    ),
    body,
  );
  draw();
}

/** Version, commit, command, machine, seeds, status. */
function drawOrigin() {
  const names = [...new Set(runs.flatMap((run) => run.origin.map(([name]) => name)))];
  const of = (run, name) => run.origin.find(([known]) => known === name)?.[1] ?? "–";
  const rows = [
    ["folder", ...runs.map((run) => run.dir)],
    ...names.map((name) => [name, ...runs.map((run) => (name === "command" ? element("code", {}, of(run, name)) : of(run, name)))]),
  ];
  const caption = "How it came to be.";
  document.getElementById("origin-table").replaceChildren(table(caption, ["", ...runs.map((run) => run.name)], rows));
}
