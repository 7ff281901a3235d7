#!/usr/bin/env python3
"""Opens reports of runs in a real browser and uses them: python3 tests/browser.py [TARGET [SHOTS]]

TARGET is the folder of the built programs (target/debug), SHOTS a folder for pictures of what was seen. Needs Chromium and its driver
(Debian: chromium, chromium-driver), which are installed where that is allowed, and nothing but Python's own library. Without
them it says so and ends with status 0; .ci/run calls it.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path


class Browser:
    """A headless Chromium, by the WebDriver protocol."""

    ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

    def __init__(self, home):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver"), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                if self.call("GET", "/status")["ready"]:
                    break
            except OSError:
                time.sleep(0.05)
        options = {
            "binary": shutil.which("chromium"),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={home}", "--lang=en"],
        }
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}
        self.url += "/session/" + self.call("POST", "/session", {"capabilities": wanted})["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def open(self, page):
        for kind in ("browser", "performance"):
            self.log(kind)  # what the browser's own first page has said
        self.call("POST", "/url", {"url": Path(page).resolve().as_uri()})

    def run(self, script, *args):
        """The value of a JavaScript expression, in which `$` finds an element and `$$` all of a selector."""
        script = "const $ = (s) => document.querySelector(s); const $$ = (s) => [...document.querySelectorAll(s)]; return " + script
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def awaited(self, script, wanted):
        """The value of an expression as soon as it is `wanted`, or what it is after two seconds: a page does some things in its own time."""
        for _ in range(40):
            if (value := self.run(script)) == wanted:
                break
            time.sleep(0.05)
        return value

    def cdp(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[self.ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, key):
        """A key, for what has the focus."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def log(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def look(self, width, scheme):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shot(self, path):
        self.run("scrollTo(0, 0)")
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000), "scale": 1}
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        Path(path).write_bytes(base64.b64decode(shot["data"]))


RIGHT, LEFT, HOME, END, TAB, SPACE = "\ue014", "\ue012", "\ue011", "\ue010", "\ue004", " "


def make(programs, folder):
    """Runs, and reports of them: of ihead_basic with snapshots, of two seeds, of ihead_full, of a program with a task of its own."""

    def call(program, *args):
        done = subprocess.run([programs / program, *args], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{program} {' '.join(args)}: {done.stderr}"

    small = "data_args.k=3 data_args.seq_length=32 optim_args.batch_size=16 test_batch_size=16 num_data_workers=2 model_args.dim=32 log=quiet".split()
    timeline = "timeline=0..10: freeze(layers.1.attention.wk.weight), 12: edit(layers.0.attention.pattern=previous_token), 0..20: linear(0.1, 0.2), every 10: snapshot"
    call("examples/ihead_basic", *small, "max_iters=30", timeline, "report=true", "figures=true", "save_dir=basic")
    for seed in "12":
        # without report=true: the program makes the model of such a run again
        call("examples/ihead_basic", *small, "max_iters=15", f"seed={seed}", f"save_dir=seeds/{seed}")
    call("examples/ihead_full", *small, "max_iters=6", "model_args.n_heads=2", "save_dir=full")
    call("examples/template", "steps=120", "save_dir=own")
    call("report", "full", "out=full.html")
    call("report", "seeds", "out=seeds.html")
    call("plot", "own", "attention", "out=own.svg")
    return folder


def hostile(folder):
    """A run whose every text would break a careless page."""
    evil = "</script><!--<script><img src=x onerror=\"document.title='broken'\">"
    run = folder / "<img src=x onerror=alert(1)> & \"quotes\""
    shutil.copytree(folder / "basic", run)
    info = json.loads((run / "run.json").read_text())
    info["command"], info["error"], info["host"], info["timeline"] = [evil], evil, evil, evil
    info["units"][evil] = "nats"
    (run / "run.json").write_text(json.dumps(info))
    (run / "params.json").write_text(json.dumps({"name": evil, evil: evil}))
    rows = [{**json.loads(line), evil: 1.5} for line in (run / "res.jsonl").read_text().splitlines()]
    (run / "res.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    view = json.loads((run / "view.json").read_text())
    view["tokens"] = {token: evil for token in view["tokens"]}
    view["terms"] = [evil for _ in view["terms"]]
    view["notes"] = [evil]
    (run / "view.json").write_text(json.dumps(view))
    return run, evil


def sweep(folder):
    """Runs of eight settings and two seeds without views, of a program that nobody else can make again: what they record is made up here."""
    info = json.loads((folder / "own" / "run.json").read_text())
    names = ["loss", "test_loss", "excess", "excess_deepest", "kl_depth_only", "resid_norm", "norm_wk", "gradnorm_wk"]
    info["units"] = {name: "norm" if "norm" in name else "nats" for name in names}
    info["command"], info["recalls"], info["chances"] = ["bin/other"], [], {}
    for group in range(8):
        for seed in range(2):
            run = folder / f"sweep/{group}-{seed}"
            run.mkdir(parents=True)
            (run / "run.json").write_text(json.dumps(info))
            (run / "params.json").write_text(json.dumps({"rate": group, "seed": seed}))
            # each number changes more than the one before it
            value = lambda at, i: 1 + group + (1 + i) * (0.1 * at + 0.01 * seed)
            rows = [{"iter": 10 * at} | {name: value(at, i) for i, name in enumerate(names)} for at in range(5)]
            (run / "res.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def records(run):
    return [json.loads(line) for line in (run / "res.jsonl").read_text().splitlines()]


def close(found, expected):
    return abs(float(found.replace("−", "-")) - expected) <= 6e-4 * max(1.0, abs(expected))


class Packed:
    """What a page packs of a sequence at a moment, read by other code than the page's."""

    def __init__(self, view, moment, sequence):
        self.view, self.moment = view, view["moments"][moment]
        self.bytes = base64.b64decode(self.moment["data"][sequence])
        self.length = len(view["sequences"][sequence]["x"])
        self.triangle = self.length * (self.length + 1) // 2
        self.start = self.triangle * sum(pattern["heads"] for pattern in view["patterns"])

    def weights(self, site, head, t):
        first = self.triangle * (sum(p["heads"] for p in self.view["patterns"][:site]) + head) + t * (t + 1) // 2
        return [(byte / 255) ** 2 for byte in self.bytes[first : first + t + 1]]

    def word(self, at, signed=False):
        return int.from_bytes(self.bytes[at : at + 2], "little", signed=signed)

    def predicted(self, t):
        top = self.view["top"]
        first = self.start + 2 * t * (2 * top + 2)
        return self.word(first), self.word(first + 2 * top) / 65535

    def terms(self, t):
        count = len(self.view["terms"])
        first = self.start + 2 * self.length * (2 * self.view["top"] + 2) + 2 * t * count
        return [self.word(first + 2 * i, True) / 32767 * self.moment["largest"] for i in range(count)]


def check_quiet(browser):
    """Nothing was written on the console, and nothing was asked of a network."""
    errors = [entry["message"] for entry in browser.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not errors, errors
    asked = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    asked = [m["params"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    # on a slow machine, the browser's own first page is still loading
    urls = [p["request"]["url"] for p in asked if not p["documentURL"].startswith(("chrome:", "chrome-untrusted:"))]
    assert urls and all(url.startswith("file:") for url in urls), urls


def check_access(browser):
    """What a reader with a keyboard or a screen reader needs."""
    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    controls = ("slider", "checkbox", "combobox", "searchbox", "link", "button", "DisclosureTriangle")
    found = [node for node in nodes if node.get("role", {}).get("value") in controls and not node["ignored"]]
    assert len(found) > 10
    for node in found:
        assert node["name"]["value"].strip(), node
    assert browser.run("$$('table:not(.u-legend)').every((t) => t.caption && t.querySelector('thead th[scope=col]') && [...t.tBodies[0].rows].every((r) => r.querySelector('th[scope=row]')))")
    assert browser.run("$$('[id]').length === new Set($$('[id]').map((e) => e.id)).size")
    levels = browser.run("$$('h1, h2, h3').map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels
    assert browser.run("document.documentElement.lang") == "en"
    # the focus goes through the page in the order in which it is read
    browser.run("document.activeElement.blur(), scrollTo(0, 0)")
    seen = []
    for _ in range(60):
        browser.press(TAB)
        seen.append(browser.run("document.activeElement.closest('section')?.id ?? 'top'"))
        if seen[-1] == "settings":
            break
    order = [name for i, name in enumerate(seen) if i == 0 or seen[i - 1] != name]
    expected = ["top", "runs", "curves", "timeline", "viewer", "settings"]
    assert [name for name in expected if name in order] == order and order[-1] == "settings", order


def check_contrast(browser):
    """Text stands out from what is behind it, at least 4.5 to 1."""

    def bright(colour):
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear))

    def colour(selector, what):
        return browser.run("getComputedStyle($(arguments[0]))[arguments[1]]", selector, what)

    for text, behind in [("body", "body"), (".hint", "body"), ("caption", ".card"), ("nav a", "body"), ("summary", ".card"), (".unit", "body")]:
        a, b = sorted([bright(colour(text, "color")), bright(colour(behind, "backgroundColor"))])
        assert (b + 0.05) / (a + 0.05) >= 4.5, (text, behind, a, b)


def check_basic(browser, folder):
    """One run: what is on the page is what the run has recorded, and every control does what it says."""
    run = folder / "basic"
    rows = records(run)
    view = json.loads((run / "view.json").read_text())
    assert browser.run("document.title") == "basic – report"
    cell = "[...$(arguments[0]).querySelectorAll('tr')].find((r) => r.cells[0].textContent.startsWith(arguments[1]))?.cells[1].textContent"
    assert close(browser.run(cell, "#runs", "loss "), rows[-1]["loss"])
    assert "chance 4.174" in browser.run("$$('#runs th').find((h) => h.textContent.startsWith('loss_head')).textContent")  # ln 65
    assert browser.run(cell, "#settings", "data_args.seq_length") == "32"
    assert browser.run(cell, "#origin", "seed of the data") == "42"
    assert "examples/ihead_basic" in browser.run(cell, "#origin", "command")
    changes = browser.run("$$('#timeline tbody tr').map((r) => [r.cells[0].textContent, r.cells[1].textContent])")
    assert ["0..10", "freeze(layers.1.attention.wk.weight)"] in changes and ["0..20", "linear(0.1, 0.2)"] in changes, changes

    # curves: numbers are chosen, and read by keyboard
    legend = "$$('#chart-nats .u-series .u-label').map((l) => l.textContent)"
    assert browser.run(legend)[:2] == ["iteration", "loss"], browser.run(legend)
    browser.click("#chart-nats ~ .choose summary")
    browser.click("#chart-nats ~ .choose input[value=loss]")
    assert "loss" not in browser.run(legend)
    browser.click("#chart-nats ~ .choose input[value=loss]")
    browser.run("$('#chart-nats').focus()")
    browser.press(HOME)
    text = "$('#chart-nats').getAttribute('aria-valuetext')"
    assert browser.run(text).startswith("iteration 0: loss "), browser.run(text)
    assert close(browser.run(text).split("loss ")[1].split(";")[0], rows[0]["loss"])
    browser.press(RIGHT)
    assert browser.run(text).startswith("iteration 5: loss ")
    assert browser.run("$('#chart-recalls').getAttribute('aria-valuetext')").startswith("iteration 5:")  # all charts together
    browser.press(END)
    assert close(browser.run(text).split("loss ")[1].split(";")[0], rows[-1]["loss"])
    # axes can be logarithmic, and the charts are still read
    scale = "charts.find((c) => c.group.key === 'nats').chart.scales[arguments[0]].distr"
    assert [browser.run(scale, axis) for axis in "xy"] == [1, 1]
    browser.click("#chart-nats ~ .choose .axes label:nth-child(1) input")
    browser.click("#chart-nats ~ .choose .axes label:nth-child(2) input")
    assert [browser.run(scale, axis) for axis in "xy"] == [3, 3]
    middle = "(() => { const { chart } = charts.find((c) => c.group.key === 'nats'); const at = (v) => chart.valToPos(v, 'x'); return [at(5), at(10), at(20)]; })()"
    low, mid, high = browser.run(middle)
    assert high > low and abs(mid - (low + high) / 2) < 0.5, (low, mid, high)
    browser.run("$('#chart-nats').focus()")
    browser.press(HOME)
    assert browser.run(text).startswith("iteration 5: loss "), browser.run(text)  # there is no logarithm of 0
    browser.click("#chart-nats ~ .choose .axes label:nth-child(1) input")
    browser.click("#chart-nats ~ .choose .axes label:nth-child(2) input")
    browser.click("#chart-nats ~ details:last-child summary")
    # a browser tells of an opened element in a task of its own
    assert browser.awaited("$$('#chart-nats ~ details:last-child tbody tr').length", len(rows)) == len(rows)

    # the model: every control, by keyboard
    caption = "$('.pane .caption').textContent"
    t = browser.run("Number($('#viewer-position').value)")
    assert view["sequences"][0]["marks"][t] >= 2
    assert browser.run(caption) == f"final weights, sequence 0, layer 1, head 0, position {t}"
    moments = len(view["moments"])
    assert [m["iteration"] for m in view["moments"]] == [0, 10, 20, None]

    def agrees(moment, sequence, site, t):
        packed = Packed(view, moment, sequence)
        weights = packed.weights(site, 0, t)
        best = max(range(t + 1), key=lambda at: weights[at])
        row = browser.run("[...$('.pane .parts').children].find((e) => e.textContent.startsWith('Where')).querySelector('tbody tr').innerText.split('\\t')")
        assert int(row[0]) == best and abs(float(row[3]) - weights[best]) < 1e-3, (row, best)
        assert abs(sum(weights) - 1) < 0.06
        token, probability = packed.predicted(t)
        predicted = browser.run("$$('.pane table').find((e) => e.caption.textContent.startsWith('What is predicted')).querySelector('tbody tr').innerText.split('\\t')")
        seen = {" ": "␣", "\n": "↵"}.get(view["tokens"][str(token)], view["tokens"][str(token)])
        assert predicted[1].split()[0] == seen and abs(float(predicted[2]) - probability) < 1e-3, predicted
        terms = browser.run("$$('.pane table').find((e) => e.caption.textContent.startsWith('What adds')).innerText.split('\\n').map((l) => l.split('\\t').pop())")
        assert abs(float(terms[-1].replace("−", "-")) - sum(packed.terms(t))) < 0.02, terms

    agrees(moments - 1, 0, 1, t)
    browser.run("$('#viewer-moment').focus()")
    browser.press(LEFT)
    assert browser.run(caption).startswith("iteration 20,") and browser.run("$('#viewer-moment').getAttribute('aria-valuetext')") == "iteration 20"
    agrees(moments - 2, 0, 1, t)
    browser.type("#viewer-sequence", "sequence 1")
    browser.type("#viewer-site", "layer 0")
    browser.run("$('#viewer-position').focus()")
    browser.press(HOME)
    for _ in range(9):
        browser.press(RIGHT)
    assert browser.run(caption) == "iteration 20, sequence 1, layer 0, head 0, position 9"
    agrees(moments - 2, 1, 0, 9)
    weights = Packed(view, moments - 2, 1).weights(0, 0, 9)
    assert weights[8] > 0.99  # the edit of iteration 12 holds: layer 0 looks at the position before
    assert Packed(view, 1, 1).weights(0, 0, 9)[8] < 0.9  # and before it, it does not
    assert browser.run("$('#viewer-said').textContent").startswith("iteration 20, position 9, token ")
    browser.click(".strip .token:nth-child(13)")
    assert browser.run(caption).endswith("position 12")
    assert browser.run("$('#viewer-position').value") == "12"

    browser.type("#settings-filter", "batch_size")
    assert browser.run("$$('#settings tbody tr').length") == 2
    assert (folder / "basic/curves.svg").read_text().startswith("<svg") and (folder / "basic/attention.svg").exists()


def check_seeds(browser, folder):
    """Two seeds: a mean with a band, then side by side; their models are made again from the settings."""
    rows = [records(run)[-1] for run in sorted((folder / "seeds").iterdir())]
    labels = "$$('#chart-nats .u-series:not(.edge) .u-label').map((l) => l.textContent)"
    named = browser.run(labels)[1:]
    assert named and all(label.endswith("mean of 2 seeds") for label in named), named
    # the first numbers in the order of the records, each in a colour of its own, since there is one group of runs
    recorded = [name for name in rows[0] if name in browser.run("charts[0].group.names")]
    assert [label.split(",")[0] for label in named] == recorded[:7], (named, recorded)
    assert browser.run("new Set(linesOf(charts[0].group).map((l) => l.colour)).size") == len(named)
    assert browser.run("$$('#chart-nats .u-series.edge').every((e) => getComputedStyle(e).display === 'none')")
    swatches = "new Set($$('#runs .swatch').filter((s) => s.style.display !== 'none').map((s) => s.style.background)).size"
    assert browser.run(swatches) == 0  # there are no two lines of a number to be told apart
    browser.run("$('#chart-nats').focus()")
    browser.press(END)
    number = named[0].split(",")[0]
    value, low, high = [sum(row[number] for row in rows) / 2, min(row[number] for row in rows), max(row[number] for row in rows)]
    said = browser.run("$('#chart-nats').getAttribute('aria-valuetext')").split("mean of 2 seeds ")[1].split(";")[0]
    parts = said.replace("(", "").replace(")", "").split()
    assert close(parts[0], value) and close(parts[1], low) and close(parts[3], high) and low < high, (said, value, low, high)
    # the band is drawn: its edges enclose the line, and its colour is that of the line, lighter
    drawn = browser.run("charts[0].chart.bands.map((band) => [band.series, band.fill]) && (() => { const { chart } = charts[0]; const at = chart.data[0].length - 1; const [high, low] = chart.bands[0].series; return [chart.data[high][at], chart.data[1][at], chart.data[low][at]]; })()")
    assert drawn[0] > drawn[1] > drawn[2], drawn
    browser.click("#banded")
    # each line of each run has a colour and a stroke that no other has
    strokes = "linesOf(charts.find((c) => c.group.key === 'share').group).map((l) => `${l.colour} ${l.dash}`)"
    assert len(browser.run(strokes)) == len(set(browser.run(strokes))) == 14
    assert browser.run(swatches) == 2
    assert browser.run("$$('.pane h3').map((h) => h.textContent)") == ["seed = 1", "seed = 2"]
    assert browser.run("$$('#settings tbody tr').map((r) => r.cells[0].textContent)")[:1] == ["root_dir differs"] or browser.run("$$('#settings th').some((h) => h.textContent === 'seed differs')")
    lines = "$$('#chart-nats .u-series').length"
    before = browser.run(lines)
    browser.run("$('#runs input').focus()")
    browser.press(SPACE)
    assert browser.run(lines) == 1 + (before - 1) // 2
    assert browser.run("$$('.pane h3').map((h) => h.textContent)") == ["seed = 2"]
    assert browser.run("document.activeElement === $('#runs input')")
    browser.press(SPACE)
    assert browser.run(lines) == before


def check_sweep(browser):
    """Eight groups of runs: seven colours, then another stroke; a number that somebody has named is shown; one reason is given once."""
    drawn = "linesOf(charts.find((c) => c.group.key === 'nats').group).map((l) => [l.colour, l.dash.join(), l.label])"
    lines = browser.run(drawn)
    assert [label for _, _, label in lines] == [f"rate = {i}, mean of 2 seeds" for i in range(8)], lines
    assert len({colour for colour, _, _ in lines[:7]}) == 7 and {dash for _, dash, _ in lines[:7]} == {""}, lines
    assert lines[7][0] == lines[0][0] and lines[7][1], lines
    chosen = "$$('#chart-nats ~ .choose input[type=checkbox]:checked').map((e) => e.value)"
    assert browser.run(chosen) == ["loss"]  # the first number, since there are more lines than colours
    # a group keeps its colour when another one is not shown, and runs have the colour of their line
    swatches = "$$('#runs .swatch').map((s) => s.style.background)"
    before = browser.run(swatches)
    assert before[0] == before[1] and len(set(before[:14])) == 7, before
    for number in (0, 1):
        browser.run("$$('#runs input')[arguments[0]].click()", number)
    assert browser.run(drawn) == lines[1:] and browser.run(swatches) == before
    for number in (0, 1):
        browser.run("$$('#runs input')[arguments[0]].click()", number)
    # lines of two numbers have each a stroke of its own
    browser.run("$('#chart-nats ~ .choose input[value=test_loss]').click()")
    assert len({(colour, dash) for colour, dash, _ in browser.run(drawn)}) == 16
    browser.run("$('#chart-nats ~ .choose input[value=test_loss]').click()")
    # norms: of a named one there is a chart, logged ones wait to be chosen
    heads = browser.run("$$('#runs tbody th').map((h) => h.textContent)")
    assert "resid_norm Euclidean norm" in heads and not any("norm_wk" in head for head in heads), heads
    titles = ["Losses and divergences", "Norms", "Norms of parameters and of their gradients"]
    assert browser.run("$$('#charts h3').map((h) => h.textContent)") == titles
    assert browser.run("$$('#chart-norm .u-series:not(.edge)').length") == 9
    assert browser.run("$('#chart-logged').textContent") == "None of these is drawn at first: choose some below."
    notes = browser.run("$$('#panes > .hint').map((p) => p.textContent)")
    reason = "16 runs: a run of other, whose model only that program can make: run it with report=true, or call Run::report"
    assert notes == [reason], notes


def check_hostile(browser, evil):
    assert "broken" not in browser.run("document.title")
    assert browser.run("$$('img').length") == 0
    assert browser.run("$('#origin').textContent.includes(arguments[0])", evil)
    assert browser.run("$('#settings').textContent.includes(arguments[0])", evil)
    assert browser.run("$('.pane').textContent.includes(arguments[0])", evil)
    assert browser.run("$$('h1')[0].textContent") == 'Run <img src=x onerror=alert(1)> & "quotes"'


def main():
    programs = Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug").resolve()
    shots = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    if not (shutil.which("chromium") and shutil.which("chromedriver")) and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "chromium-driver"]
        for command in (["apt-get", "update"], install):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        print("SKIPPED: reports in a browser: chromium and chromium-driver are not installed, and cannot be installed here")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = make(programs, Path(made))
        run, evil = hostile(folder)
        sweep(folder)
        subprocess.run([programs / "report", folder / "sweep", f"out={folder}/sweep.html"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([programs / "report", run, f"out={folder}/hostile.html"], check=True, stdout=subprocess.DEVNULL)
        browser = Browser(folder / "profile")
        try:
            pages = {
                "basic": (folder / "basic/report.html", lambda: check_basic(browser, folder)),
                "own": (folder / "own/report.html", lambda: check_own(browser, folder)),
                "full": (folder / "full.html", lambda: check_full(browser)),
                "seeds": (folder / "seeds.html", lambda: check_seeds(browser, folder)),
                "sweep": (folder / "sweep.html", lambda: check_sweep(browser)),
                "hostile": (folder / "hostile.html", lambda: check_hostile(browser, evil)),
            }
            for name, (page, check) in pages.items():
                browser.look(1280, "light")
                browser.open(page)
                took = browser.run("[document.documentElement.dataset.drawn, Math.round(performance.timing.loadEventEnd - performance.timing.navigationStart)]")
                check()
                check_access(browser)
                for width, scheme in [(1280, "light"), (1280, "dark"), (380, "light"), (380, "dark")]:
                    browser.look(width, scheme)
                    # charts follow the window's width in their own time
                    assert browser.awaited("document.documentElement.scrollWidth <= innerWidth", True), (name, width)
                    check_contrast(browser)
                    if shots:
                        shots.mkdir(parents=True, exist_ok=True)
                        browser.shot(shots / f"{name}-{width}-{scheme}.png")
                check_quiet(browser)
                size = page.stat().st_size
                assert size < 5_000_000, size
                print(f"{name}: {size / 1e6:.2f} MB, drawn after {took[0]} ms, open after {took[1]} ms")
        finally:
            browser.close()


def check_full(browser):
    """Two heads, and terms behind a final norm that add up."""
    assert browser.run("$$('#viewer-head option').map((o) => o.textContent)") == ["head 0", "head 1"]
    browser.type("#viewer-head", "head 1")
    assert "head 1" in browser.run("$('.pane .caption').textContent")
    terms = browser.run("$$('.pane table').find((e) => e.caption.textContent.startsWith('What adds')).innerText.split('\\n')")
    assert any("attention.out[1]" in term for term in terms), terms


def check_own(browser, folder):
    """A task and probes of one's own: names, units and chance levels come from the records, names of tokens from the task."""
    rows = records(folder / "own")
    head = browser.run("$$('#runs th').map((h) => h.textContent)")
    assert "accuracy share, chance 0.05882" in head and "copies share, chance 0.06250" in head, head
    assert browser.run("$$('#charts h3').map((h) => h.textContent)") == ["Losses and divergences", "Accuracies and other shares", "Recalls of the weights"]
    assert browser.run("$$('#chart-recalls .u-label').map((l) => l.textContent)") == ["iteration", "copies"]
    assert close(browser.run("$$('#runs tr').find((r) => r.cells[0].textContent.startsWith('copies')).cells[1].textContent"), rows[-1]["copies"])
    ticks = browser.run("$$('#changes .tick').map((t) => parseFloat(t.style.left))")  # snapshots of 120 steps, each where it was taken
    assert len(ticks) == 3 and all(abs(tick - 100 * at / 120) < 0.01 for tick, at in zip(ticks, [0, 50, 100])), ticks
    assert "#" in browser.run("$$('.strip .token').map((w) => w.textContent)")  # the marker's name
    assert (folder / "own.svg").read_text().startswith("<svg")


if __name__ == "__main__":
    main()
