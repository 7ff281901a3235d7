"use strict";
// What changed when.

/** The iterations at which something changed in the runs that are shown. */
function changeIterations() {
  const all = visibleRuns().flatMap(({ run }) => run.changes.filter((change) => change.what !== "snapshot").flatMap(({ from, to }) => [from, to]));
  return [...new Set(all.filter((at) => at !== null && at > 0))];
}

/** A change over the iterations of a run: a bar from one to another, or a mark for each time. */
function changeBars(run, { from, to, at }) {
  const end = Math.max(run.done, 1);
  const share = (at) => `${(100 * Math.min(at, end)) / end}%`;
  const placed = (name, first) => {
    const bar = element("span", { class: name });
    bar.style.left = share(first);
    return bar;
  };
  const lane = (...bars) => element("td", { class: "lane", "aria-hidden": "true" }, ...bars);
  if (at) return lane(...at.map((iteration) => placed("tick", iteration)));
  const bar = placed(from === null ? "often" : from === to ? "moment" : "span", from ?? 0);
  if (from !== to || from === null) bar.style.width = `calc(${share(to ?? end)} - ${share(from ?? 0)})`;
  return lane(bar);
}

function drawTimeline() {
  const place = document.getElementById("changes");
  const visible = visibleRuns();
  // runs with the same changes have one table
  const alike = Map.groupBy(visible, ({ run }) => JSON.stringify([run.changes, run.done]));
  const tables = [...alike.values()].map((group) => {
    const { run } = group[0];
    const names = group.length === visible.length ? "all runs" : group.map(({ run }) => run.name).join("; ");
    if (run.changes.length === 0) return element("p", {}, runs.length > 1 ? `Nothing changed on the way in ${names}.` : "Nothing changed on the way.");
    const title = runs.length > 1 ? element("h3", {}, names) : null;
    const rows = run.changes.map((change) => [change.when, element("td", {}, element("code", {}, change.what)), changeBars(run, change)]);
    const axis = element("th", { class: "lane", "aria-hidden": "true" }, element("span", { class: "zero" }, "0"), element("span", { class: "end" }, String(run.done)));
    return element("div", { class: "wide" }, title, table("What changed at which iterations.", ["iterations", "change", axis], rows));
  });
  place.replaceChildren(...tables);
}
