"""Prints the table of docs/supply-chain.md: every crate that the library is built of on this system, from cargo's own
lists, the sources that cargo has downloaded, and the dates of releases in cargo's copy of the registry's index. Below the table are the crates
whose last release of any version is older than three years, and those of which only the version used here is.

    python3 tests/python/supply_chain.py

`cargo update --dry-run` brings the copy of the index up to date first: it needs the network, and changes nothing.
"""

import datetime
import json
import os
import pathlib
import re
import subprocess

TREE = ["cargo", "tree", "--locked", "-p", "ihead", "-e", "normal,build", "--prefix", "none"]
METADATA = ["cargo", "metadata", "--locked", "--format-version", "1"]
# what is compiled only for tests, benchmarks and examples of the crate itself
BESIDE = {"tests", "benches", "examples", "fuzz"}
CARGO = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
OLD = datetime.timedelta(days=3 * 365.25)


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def uses_of_unsafe(folder):
    """How often the keyword stands in the sources, outside of comments and of the lint's name."""
    count = 0
    for path in folder.rglob("*.rs"):
        if path.relative_to(folder).parts[0] not in BESIDE:
            lines = path.read_text(errors="replace").splitlines()
            count += sum(len(re.findall(r"\bunsafe\b", line.split("//")[0])) for line in lines)
    return count


def build_script(package):
    scripts = [t for t in package["targets"] if "custom-build" in t["kind"]]
    if not scripts:
        return ""
    text = pathlib.Path(scripts[0]["src_path"]).read_text()
    starts = []
    if "nvcc" in text:
        starts.append("nvcc, with the feature `cuda` alone")
    elif "cc::Build" in text:
        starts.append("a C compiler, with a feature that nothing here asks for")
    if re.search(r"Command::new\((rustc|wrapper)|rustc_version::|autocfg::|version_check::", text):
        starts.append("rustc")
    # whatever else it starts: not rustc, and none of the programs that were read
    started = re.findall(r"Command::new\(([^;\n]*)", text)
    starts += [call for call in started if not re.match(r'rustc|wrapper|cmd\)\.arg\("-vV"|"nvcc|"nvidia-smi|"freebsd-version|emcc', call)]
    return "starts " + "; ".join(starts) if starts else "starts nothing"


def releases(name):
    """The date of each release of a crate that was not withdrawn, by version: the records of cargo's copy of the index, with zeros between."""
    lower = name.lower()
    folder = {1: "1", 2: "2", 3: f"3/{lower[:1]}"}.get(len(lower), f"{lower[:2]}/{lower[2:4]}")
    (path,) = CARGO.glob(f"registry/index/*/.cache/{folder}/{lower}")
    records = [json.loads(record) for record in path.read_bytes().split(b"\0") if record.startswith(b"{")]
    return {record["vers"]: datetime.date.fromisoformat(record["pubtime"][:10]) for record in records if not record["yanked"]}


def main():
    subprocess.run(["cargo", "update", "--dry-run", "--quiet"], check=True)
    packages = {(p["name"], p["version"]): p for p in json.loads(output(METADATA))["packages"]}
    found = sorted({tuple(line.split()[:2]) for line in output(TREE).splitlines() if line.strip()})
    today, last, used = datetime.date.today(), {}, []
    print("| crate | version | released | newest version | licence | `unsafe` | build script |")
    print("|---|---|---|---|---|---|---|")
    for name, version in found:
        package = packages[name, version[1:]]
        if package["source"] is None:  # one of ours
            continue
        unsafe = uses_of_unsafe(pathlib.Path(package["manifest_path"]).parent) or "none"
        licence = package["license"].replace("/", " OR ")
        dates = releases(name)
        date = dates[version[1:]]
        newest = max((v for v in dates if "-" not in v), key=lambda v: [int(n) for n in v.split("+")[0].split(".")])
        if today - max(dates.values()) > OLD:
            last[name] = f"{name} ({max(dates.values())})"
        elif today - date > OLD:
            used.append(f"{name} {version[1:]}")
        newer = "" if newest == version[1:] else f"{newest}, {dates[newest]}"
        print(f"| {name} | {version[1:]} | {date} | {newer} | {licence} | {unsafe} | {build_script(package)} |")
    print(f"\nOn {today}, older than three years are the last release of: {', '.join(last.values())}")
    print(f"and the release used here, but not the last one, of: {', '.join(used)}")


main()
