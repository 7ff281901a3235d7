"""Prints the table of docs/supply-chain.md: every crate that the library is built of on this system, from cargo's own
lists and the sources that cargo has downloaded.

    python3 tests/python/supply_chain.py
"""

import json
import pathlib
import re
import subprocess

TREE = ["cargo", "tree", "--locked", "-p", "ihead", "-e", "normal,build", "--prefix", "none"]
METADATA = ["cargo", "metadata", "--locked", "--format-version", "1"]
# what is compiled only for tests, benchmarks and examples of the crate itself
BESIDE = {"tests", "benches", "examples", "fuzz"}


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
    return "starts " + "; ".join(starts) if starts else "starts nothing"


def main():
    packages = {(p["name"], p["version"]): p for p in json.loads(output(METADATA))["packages"]}
    found = sorted({tuple(line.split()[:2]) for line in output(TREE).splitlines() if line.strip()})
    print("| crate | version | licence | `unsafe` | build script |")
    print("|---|---|---|---|---|")
    for name, version in found:
        package = packages[name, version[1:]]
        if package["source"] is None:  # one of ours
            continue
        unsafe = uses_of_unsafe(pathlib.Path(package["manifest_path"]).parent) or "none"
        licence = package["license"].replace("/", " OR ")
        print(f"| {name} | {version[1:]} | {licence} | {unsafe} | {build_script(package)} |")


main()
