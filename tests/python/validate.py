"""Validates the JSON files of a folder against its schema.json, by the real `jsonschema`."""

import json
import pathlib
import sys

import jsonschema

folder = pathlib.Path(sys.argv[1])
schema = json.loads((folder / "schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
refused = 0
for path in sorted(folder.glob("*.json")):
    if path.name == "schema.json":
        continue
    errors = list(validator.iter_errors(json.loads(path.read_text())))
    if path.name.startswith("good"):
        assert not errors, errors
        print(path.name, "fits")
    else:
        assert errors, f"{path.name} fits"
        refused += 1
print(refused, "others do not")
