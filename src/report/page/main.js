"use strict";
// Draws the page.

document.title = `${runs.length === 1 ? runs[0].name : `${runs.length} runs`} – report`;
document.querySelector("h1").textContent = runs.length === 1 ? `Run ${runs[0].name}` : `${runs.length} runs`;
document.getElementById("notes").append(...report.notes.concat(...runs.map((run) => run.notes.map((note) => (runs.length > 1 ? `${run.name}: ${note}` : note)))).map((note) => element("li", {}, note)));

drawRuns();
drawCurves();
drawTimeline();
drawViewer();
drawSettings();
drawOrigin();
whenRunsChange(drawRunsAgain);
whenRunsChange(drawTimeline);

/** The colours of the runs; the focus stays where it was. */
function drawRunsAgain() {
  document.querySelectorAll("#runs-table .swatch").forEach(paint);
}

// told to whoever opens the page by a program
document.documentElement.dataset.drawn = String(Math.round(performance.now()));
