"""Reads table.csv and table.jsonl of a folder with the real pandas, which must find the same numbers in both."""

import pathlib
import sys

import pandas

folder = pathlib.Path(sys.argv[1])
csv = pandas.read_csv(folder / "table.csv", float_precision="round_trip")
jsonl = pandas.read_json(folder / "table.jsonl", lines=True, precise_float=True)
assert list(csv.columns) == list(jsonl.columns)
assert csv["height"].dtype == "float64" and csv["status"].isin(["done", "failed"]).all()
pandas.testing.assert_frame_equal(csv, jsonl, check_dtype=False, rtol=1e-15)
print(f"{len(csv)} rows, {len(csv.columns)} columns, equal")
