"""Reads the folder of a run of ihead_full with the real tools, all of which must find the same numbers.

Weights with NumPy and JAX (in JAX also the logits, computed anew from the weights), `exp.npz` with NumPy, the records with
pandas, the events with TensorBoard's own reader. Heads of the default model: the third argument.
"""

import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy
import pandas
import safetensors.flax
import safetensors.numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder, heads = pathlib.Path(sys.argv[1]), int(sys.argv[2])

weights = safetensors.numpy.load_file(folder / "final.safetensors")
in_jax = safetensors.flax.load_file(folder / "final.safetensors")
assert weights.keys() == in_jax.keys() and len(weights) > 10
for name, array in weights.items():
    assert array.dtype == numpy.float32 and numpy.isfinite(array).all(), name
    assert in_jax[name].dtype == jnp.float32 and numpy.array_equal(numpy.asarray(in_jax[name]), array), name

exp = numpy.load(folder / "exp.npz")
batch, seq = exp["x"].shape
assert exp["x"].dtype == numpy.int64 and exp["out"].shape == (batch, seq + 1)
assert exp["scores_0"].shape == (batch, heads, seq, seq) and exp["scores_0"].dtype == numpy.float32
assert numpy.allclose(exp["scores_0"].sum(-1), 1, atol=1e-5)
assert all(numpy.array_equal(jnp.asarray(exp[name]), exp[name]) for name in ("scores_0", "preds"))


def norm(name, x):
    x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * in_jax[f"{name}.weight"] + in_jax[f"{name}.bias"]


def logits(tokens):
    """The paper's full model with default settings, for one sequence."""
    w = lambda name: in_jax[f"{name}.weight"].T
    h = in_jax["tok_embeddings.weight"][tokens] + in_jax["pos_embeddings.weight"][:seq]
    split = lambda x: x.reshape(seq, heads, -1).transpose(1, 0, 2)
    patterns = []
    for layer in ("layers.0", "layers.1"):
        x = norm(f"{layer}.attention_norm", h)
        q, k, v = (split(x @ w(f"{layer}.attention.{m}")) for m in ("wq", "wk", "wv"))
        scores = q @ k.transpose(0, 2, 1) / jnp.sqrt(q.shape[-1])
        pattern = jax.nn.softmax(jnp.where(jnp.tri(seq, dtype=bool), scores, -jnp.inf))
        patterns.append(pattern)
        mixed = (pattern @ v).transpose(1, 0, 2).reshape(seq, -1)
        fed = jax.nn.relu(norm(f"{layer}.ff_norm", h) @ w(f"{layer}.ff.w1")) @ w(f"{layer}.ff.w2")
        h = h + mixed @ w(f"{layer}.attention.wo") + fed
    return norm("norm", h) @ w("output"), patterns


jax.config.update("jax_default_matmul_precision", "highest")
found, patterns = jax.vmap(logits)(jnp.asarray(exp["x"]))
assert numpy.allclose(found, exp["preds"], atol=1e-4), abs(found - exp["preds"]).max()
for layer, pattern in enumerate(patterns):
    assert numpy.allclose(pattern, exp[f"scores_{layer}"], atol=1e-5)

lines = [json.loads(line) for line in (folder / "res.jsonl").read_text().splitlines()]
table = pandas.read_json(folder / "res.jsonl", lines=True, precise_float=True)
assert list(table["iter"]) == [line["iter"] for line in lines] and table["loss"].dtype == "float64"
for column in table.columns:
    written = [float("nan") if line[column] is None else line[column] for line in lines]
    assert numpy.allclose(table[column].astype(float), written, rtol=1e-14, equal_nan=True), column

events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
events.Reload()
tags = events.Tags()["scalars"]
assert set(tags) == set(table.columns) - {"iter"}, set(tags) ^ set(table.columns)
for tag in tags:
    scalars = events.Scalars(tag)
    # what could not be measured is null in the records and not there as an event
    there = table[table[tag].notna()]
    assert [scalar.step for scalar in scalars] == list(there["iter"]), tag
    assert numpy.array_equal([scalar.value for scalar in scalars], there[tag].astype("float32")), tag
    assert all(scalar.wall_time > 1.7e9 for scalar in scalars)

print(f"{len(weights)} tensors, {len(exp.files)} arrays, {len(table)} records, {len(tags)} tags: equal")
