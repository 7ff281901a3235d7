"""Would the tests notice? A random sample of the changes that cargo-mutants proposes, all built at once.

    python3 tests/python/mutants.py 200 [--seed 0] [--out target/mutants]

needs cargo-mutants (`cargo install cargo-mutants --locked`), which lists the changes ("mutants") and is not asked to
run them: it would build the library once for each. Here every changed function keeps its own body and gets the
changed ones beside it, in one copy of the repository:

    { if ::mutants::is(17) { changed body } else { body } }

and the environment variable MUTANT chooses the one that runs. The tests run once without a change, each in a process of its
own, and note which changes they reach; then each change meets the tests that reach it, the quickest first, until one
fails. What no test has caught meets the documentation tests. Changes that cannot be switched at run time (constants, `const fn`,
other types) are listed for `cargo mutants --re`. A test that takes five times as long as without a change, and 20 s more, has noticed it: on a machine
that does other work, show what was noticed so once more.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SWITCH = """//! Which change is on: MUTANT=n, or a list of those that are reached, in the file MUTANTS_REACHED.
use std::io::Write;
use std::sync::{LazyLock, Mutex, atomic::{AtomicBool, Ordering::Relaxed}};

static CHOSEN: LazyLock<u32> = LazyLock::new(|| {
    std::env::var("MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
});
static REACHED: LazyLock<Option<Mutex<std::fs::File>>> = LazyLock::new(|| {
    let path = std::env::var("MUTANTS_REACHED").ok()?;
    std::fs::OpenOptions::new().append(true).create(true).open(path).ok().map(Mutex::new)
});
static SEEN: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];

#[inline(never)]
fn note(n: u32) {
    if let Some(file) = &*REACHED
        && !SEEN[n as usize].swap(true, Relaxed)
    {
        let _ = writeln!(file.lock().unwrap(), "{n}");
    }
}

/// Whether change `n` is on.
#[inline]
pub fn is(n: u32) -> bool {
    if !SEEN[n as usize].load(Relaxed) {
        note(n);
    }
    *CHOSEN == n
}
"""

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*) | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)") | (?P<string>(?:\b[bc])?"(?:\\.|[^"\\])*") |
    (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'])') | (?P<brace>[{}])""",
    re.VERBOSE | re.DOTALL,
)


def openers(text):
    """For each closing brace of a Rust file, where its opening one is."""
    found, stack, at = {}, [], 0
    while match := TOKEN.search(text, at):
        at = match.end()
        if match["comment"] == "/*":
            depth = 1
            while depth:
                mark = re.compile(r"/\*|\*/").search(text, at)
                depth += 1 if mark[0] == "/*" else -1
                at = mark.end()
        elif match["raw"] is not None:
            at = text.index('"' + match["hashes"], at) + 1 + len(match["hashes"])
        elif match["brace"] == "{":
            stack.append(match.start())
        elif match["brace"] == "}":
            found[match.start()] = stack.pop()
    return found


class Source:
    """A file, the functions in it that are changed, and where the changed bodies stand in the text that is built."""

    def __init__(self, root, name):
        self.path, self.text = root / name, (root / name).read_text()
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.openers = openers(self.text)
        self.functions = defaultdict(list)

    def offset(self, place):
        return self.starts[place["line"] - 1] + place["column"] - 1

    def add(self, n, mutant):
        """Whether the change can be switched at run time."""
        if not mutant["function"]:
            return False
        end = self.offset(mutant["function"]["span"]["end"]) - 1
        start = self.openers.get(end)
        span = [self.offset(mutant["span"][key]) for key in ("start", "end")]
        if start is None or not start < span[0] <= span[1] <= end:
            return False
        head = self.text[self.offset(mutant["function"]["span"]["start"]) : start]
        if re.search(r"\bconst\s+(unsafe\s+)?fn\b", head):
            return False
        body = self.text[start + 1 : span[0]] + mutant["replacement"] + self.text[span[1] : end]
        self.functions[start, end].append((n, body))
        return True

    def write(self, off):
        """The file with all its changes but those in `off`; the places of the changes, in bytes."""
        inserts = []
        for (start, end), bodies in self.functions.items():
            bodies = [(n, body) for n, body in bodies if n not in off]
            if bodies:
                inserts.append((start + 1, [(n, f" if ::mutants::is({n}) {{{body}}} else ") for n, body in bodies] + [(None, "{")]))
                inserts.append((end, [(None, "}")]))
        out, places, at = "", [], 0
        for place, pieces in sorted(inserts, key=lambda insert: insert[0]):
            out += self.text[at:place]
            at = place
            for n, piece in pieces:
                begin = len(out.encode())
                out += piece
                if n is not None:
                    places.append((begin, len(out.encode()), n))
        self.path.write_text(out + self.text[at:])
        self.places = places

    def blamed(self, begin, end):
        """The changes at a place that the compiler complains of: those around it, else the nearest before it."""
        around = [n for low, high, n in self.places if low <= begin and end <= high]
        before = [n for low, high, n in self.places if high <= begin]
        inside = [n for low, high, n in self.places if begin <= low and high <= end]
        return around or inside or before[-1:]


def command(*words, **options):
    return subprocess.run(words, text=True, capture_output=True, **options)


def copy(root, tree):
    """The files that git knows, the switch, and the switch among the dependencies of each package."""
    names = command("git", "ls-files", cwd=root, check=True).stdout.splitlines()
    for old in tree.iterdir() if tree.exists() else ():
        if old.name != "target":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_file():
            shutil.copy2(root / name, tree / name)
    switch = tree / "mutants"
    (switch / "src").mkdir(parents=True)
    (switch / "src/lib.rs").write_text(SWITCH)
    (switch / "Cargo.toml").write_text('[package]\nname = "mutants"\nversion = "0.0.0"\nedition = "2024"\n')
    for package in (".", "figures", "macros", "macros/formula"):
        manifest = tree / package / "Cargo.toml"
        path = os.path.relpath(switch, tree / package)
        text = manifest.read_text()
        text += "" if "\n[dependencies]\n" in text else "\n[dependencies]\n"
        manifest.write_text(text.replace("\n[dependencies]\n", f'\n[dependencies]\nmutants = {{ path = "{path}" }}\n', 1))
    manifest = tree / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("members = [", 'members = ["mutants", ', 1))


def build(tree, sources, refused):
    """Builds the tests; changes that do not compile here are left out until the rest does. Returns the test programs."""
    while True:
        for source in sources.values():
            source.write(refused)
        run = command("cargo", "test", "--workspace", "--no-run", "--offline", "--message-format=json", cwd=tree)
        messages = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
        errors = [m["message"] for m in messages if m["reason"] == "compiler-message" and m["message"]["level"] == "error"]
        if run.returncode == 0:
            return [
                (m["executable"], tree / Path(m["manifest_path"]).parent)
                for m in messages
                if m["reason"] == "compiler-artifact" and m["profile"]["test"] and m["executable"]
            ]
        blamed = {}
        for error in errors:
            for span in error["spans"]:
                if source := sources.get(span["file_name"]):
                    for n in source.blamed(span["byte_start"], span["byte_end"]):
                        blamed.setdefault(n, error["message"])
        blamed = {n: why for n, why in blamed.items() if n not in refused}
        if not blamed:
            sys.exit("cannot build:\n" + run.stderr[-3000:] + "\n".join(error["rendered"] for error in errors[:5]))
        print(f"{len(blamed)} changes do not compile beside the body they replace", flush=True)
        refused.update(blamed)


def passes(words, folder, environment, limit):
    """Whether a program ends well, within so many seconds; what it started ends with it."""
    child = subprocess.Popen(
        words, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return child.wait(limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(child.pid, 9)
        except ProcessLookupError:
            pass
        child.wait()


def run_test(test, environment, limit):
    """Whether a test passes, and in what time; one that takes too long fails."""
    program, folder, name = test
    words = [program] if name is None else [program, "--exact", name]
    begin = time.monotonic()
    return passes(words, folder, environment, limit), time.monotonic() - begin


def documentation(tree, packages, environment):
    """Whether the documentation tests of these packages pass, and end."""
    words = ["cargo", "test", "--doc", "--offline", *(word for package in packages for word in ("-p", package))]
    return passes(words, tree, environment, 900)


def documented(file):
    """The packages whose documentation tests reach the changes of a file soonest."""
    if file.startswith("figures/"):
        return ["ihead-figure"]
    return ["ihead", "ihead-macros", "ihead-formula"] if file.startswith("macros/") else ["ihead"]


def names(program, folder):
    """The tests of a program; one without names for a program that is a test itself."""
    listed = command(program, "--list", cwd=folder)
    tests = re.findall(r"^(.*): test$", listed.stdout, re.MULTILINE)
    return tests if listed.returncode == 0 and "test" in listed.stdout else [None]


def survey(programs, out, jobs):
    """All tests, once, without a change: what each reaches and how long it takes."""
    tests = [(program, folder, name) for program, folder in programs for name in names(program, folder)]
    reached, seconds = defaultdict(list), {}

    def visit(number):
        log = out / f"reached.{number}"
        log.unlink(missing_ok=True)
        passed, took = run_test(tests[number], {"MUTANTS_REACHED": str(log)}, 900)
        return passed, took, {int(line) for line in log.read_text().split()} if log.exists() else set()

    with ThreadPoolExecutor(jobs) as pool:
        for number, (passed, took, changes) in enumerate(pool.map(visit, range(len(tests)))):
            if not passed:
                print("fails without a change, left out:", Path(tests[number][0]).name, tests[number][2], flush=True)
                continue
            seconds[number] = took
            for n in changes:
                reached[n].append(number)
    return tests, seconds, reached


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("target/mutants"))
    args = parser.parse_args()
    root, out = Path.cwd(), args.out.resolve()
    # a command in the background ignores SIGINT, and so would the programs that tests send it to
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # where the tests of a macro crate find the compiler's libraries
    os.environ["LD_LIBRARY_PATH"] = command("rustc", "--print", "target-libdir", check=True).stdout.strip()
    tree = out / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    listed = command("cargo", "mutants", "--list", "--json", "--workspace", *("--exclude=%s/**" % f for f in ("examples", "benches", "tests")), check=True)
    mutants = random.Random(args.seed).sample(json.loads(listed.stdout), args.count)

    copy(root, tree)
    sources, apart = {}, set()
    for n, mutant in enumerate(mutants):
        file = mutant["file"]
        if file not in sources:
            sources[file] = Source(tree, file)
        if not sources[file].add(n, mutant):
            apart.add(n)
    refused = {}
    programs = build(tree, sources, refused)
    print(f"built; {len(apart)} changes cannot be switched, {len(refused)} do not compile so", flush=True)
    tests, seconds, reached = survey(programs, out, args.jobs)
    print(f"{len(seconds)} tests in {sum(seconds.values()):.0f} s; {len(reached)} changes are reached", flush=True)

    def judge(n):
        for number in sorted(reached[n], key=seconds.get):
            if not run_test(tests[number], {"MUTANT": str(n)}, 20 + 5 * seconds[number])[0]:
                return Path(tests[number][0]).name.rsplit("-", 1)[0] + " " + str(tests[number][2])
        print("no test fails by", mutants[n]["name"], flush=True)
        return None

    switched = [n for n in range(len(mutants)) if n not in apart and n not in refused]
    with ThreadPoolExecutor(args.jobs) as pool:
        caught = dict(zip(switched, pool.map(judge, switched)))
    log = out / "reached.documentation"
    log.unlink(missing_ok=True)
    without = sum(outcome is not None for outcome in caught.values())
    print(f"{without} of {len(switched)} caught, before the documentation tests", flush=True)
    documentation(tree, ["ihead", "ihead-figure", "ihead-macros", "ihead-formula"], {"MUTANTS_REACHED": str(log)})
    in_documentation = set(map(int, log.read_text().split())) if log.exists() else set()
    for n in switched:
        if caught[n] is None and n in in_documentation:
            if not documentation(tree, documented(mutants[n]["file"]), {"MUTANT": str(n)}):
                caught[n] = "documentation"
    with open(out / "result.txt", "w") as file:
        for n, mutant in enumerate(mutants):
            outcome = "APART" if n in apart else f"REFUSED, {refused[n]}" if n in refused else caught[n] or ("MISSED" if reached[n] else "MISSED, not reached")
            print(f"{mutant['name']}\t{outcome}", file=file)
    missed = [n for n in switched if caught[n] is None]
    print(f"{len(switched) - len(missed)} of {len(switched)} caught, {len(apart) + len(refused)} to be tried apart")
    for n in missed:
        print("MISSED" if reached[n] else "MISSED, not reached", mutants[n]["name"])
    for n in sorted(apart | set(refused)):
        print("APART", mutants[n]["name"], refused.get(n, ""))


main()
