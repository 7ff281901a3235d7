"""The paper's two models and a transformer of interchangeable blocks, written for the judge over `arrays`.

Each model is a function from tensors by name, settings and tokens `[batch, seq]` to logits `[batch, seq, vocab]`; each has a list of
the tensors that it should consist of, by name: their shapes, and whether they train.
"""

import arrays
import numpy as np


class Read(dict):
    """Tensors by name, which notes those that are read."""

    def __init__(self, tensors, read):
        super().__init__(tensors)
        self.read = read

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)


# parts


def weights(scores, normaliser, seen):
    """From scores `[..., query, key]` to weights; those of keys that are not seen are zero."""
    if normaliser in ("softmax", "softmax_off_by_one"):
        return arrays.softmax(scores, seen, normaliser == "softmax_off_by_one")
    count = arrays.constant(np.arange(1.0, scores.shape[-1] + 1)[:, None])
    by_itself = {
        "relu": lambda s: arrays.positive(s),
        "mean_relu": lambda s: arrays.positive(s) / count,
        "sigmoid": lambda s: arrays.sigmoid(s - arrays.log(count)),
        "linear": lambda s: s,
        "mean_linear": lambda s: s / count,
    }
    return arrays.where(arrays.constant(seen), by_itself[normaliser](scores), 0.0)


def rotated(x, base):
    """`[batch, seq, heads, width]`: pairs of neighbours turned by an angle that grows with the position."""
    seq, width = x.shape[1], x.shape[3]
    angles = np.arange(seq)[:, None] * base ** (-np.arange(0, width, 2) / width)
    cos, sin = arrays.constant(np.cos(angles)[:, None, :]), arrays.constant(np.sin(angles)[:, None, :])
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = arrays.stacked(even * cos - odd * sin, even * sin + odd * cos)
    return turned.reshape(x.shape)


def attention(q, k, v, heads, key_heads, scale, normaliser="softmax", bias=None, window=None, change=None, base=None):
    """Causal attention of `[batch, seq, width]` queries, keys and values."""
    batch, seq, dim = q.shape
    split = lambda x, parts: x.reshape(batch, seq, parts, x.shape[-1] // parts)
    q, k, v = split(q, heads), split(k, key_heads), split(v, key_heads)
    if change is not None:
        q, k = arrays.rms(q) * change[0], arrays.rms(k) * change[1]
    if base is not None:
        q, k = rotated(q, base), rotated(k, base)
    k, v = arrays.repeated(k, heads // key_heads), arrays.repeated(v, heads // key_heads)
    scores = scale * arrays.einsum("bqhd,bkhd->bhqk", q, k)
    distance = np.arange(seq)[:, None] - np.arange(seq)[None, :]
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    if bias is not None:
        scores = scores + bias[:, np.maximum(distance, 0)]
    return arrays.einsum("bhqk,bkhd->bqhd", weights(scores, normaliser, seen), v).reshape(batch, seq, dim)


def tables(s):
    """The tensors that are computed and not drawn, by name: sines and cosines of positions, and the biases of ALiBi."""
    length, dim, found = s["max_length"], s["dim"], {}
    angles = np.arange(length)[:, None] * 10000.0 ** (-2.0 * (np.arange(dim) // 2) / dim)
    waves = np.where(np.arange(dim) % 2 == 0, np.sin(angles), np.cos(angles))
    if s.get("sin_cos"):
        found["pe"] = waves * (dim**-0.5 if s.get("sqrtd_embeddings") else 1.0)
    if s.get("positions") == "sin_cos":
        found["pos_embeddings.weight"] = waves
    if s.get("positions") == "alibi":
        slopes = 2.0 ** (-8.0 * np.arange(1, s["heads"] + 1) / s["heads"])
        found |= {f"layers.{i}.attention.relative.weight": -slopes[:, None] * np.arange(length) for i in range(s["layers"])}
    return found


def mlp(t, name, x):
    return arrays.positive(x @ t[name + ".w1.weight"].T) @ t[name + ".w2.weight"].T


# the simplified model


def basic(t, s, x):
    dim, seq = s["dim"], x.shape[1]
    embeddings = t["tok_embeddings.weight"]
    h = embeddings[x]
    if not s["use_rope"]:
        h = h + t["pe"][:seq]
    for i, (there, linear) in enumerate(basic_ffns(s)):
        name = f"layers.{i}."
        k, v = h @ t[name + "attention.wk.weight"].T, h @ t[name + "attention.wv.weight"].T
        scale = 1.0 if s["no_sqrtd"] else dim**-0.5
        base = 10000.0 if s["use_rope"] and i == 0 else None
        h = h + attention(h, k, v, 1, 1, scale, base=base) @ t[name + "attention.wo.weight"].T
        if there:
            h = h + (h @ t[name + "ff.weight"].T if linear else mlp(t, name + "ff", h))
    if s["tie_output"] and not s["freeze_output"]:
        return h @ embeddings.T / dim
    return h @ t["output.weight"].T * (dim**-0.5 if s["tie_output"] else 1.0)


def basic_ffns(s):
    return [(s["first_ffn"], s["linear_first_ffn"]), (s["final_ffn"], s["linear_final_ffn"])]


def basic_tensors(s, vocab):
    dim = s["dim"]
    expected = {
        "tok_embeddings.weight": ((vocab, dim), not s["freeze_embeddings"]),
        "pe": ((s["max_length"], dim), False),
    }
    for i, (there, linear) in enumerate(basic_ffns(s)):
        for map_, trains in [("wk", True), ("wv", False), ("wo", i == 1)]:
            expected[f"layers.{i}.attention.{map_}.weight"] = ((dim, dim), trains)
        if there and linear:
            expected[f"layers.{i}.ff.weight"] = ((dim, dim), True)
        elif there:
            expected[f"layers.{i}.ff.w1.weight"] = ((4 * dim, dim), True)
            expected[f"layers.{i}.ff.w2.weight"] = ((dim, 4 * dim), True)
    if s["freeze_output"] or not s["tie_output"]:
        expected["output.weight"] = ((vocab, dim), not s["freeze_output"])
    return expected


# the full model


def full(t, s, x):
    embeddings = t["tok_embeddings.weight"]
    positions = t["pe"] if s["sin_cos"] else t["pos_embeddings.weight"]
    h = embeddings[x] + positions[: x.shape[1]]
    norm = lambda name, y: y if s["no_norm"] else arrays.layer_norm(y, t[name + ".weight"], t[name + ".bias"])
    for i in range(s["n_layers"]):
        name = f"layers.{i}."

        def attend(y):
            q, k = y @ t[name + "attention.wq.weight"].T, y @ t[name + "attention.wk.weight"].T
            v = y if s["no_wv"] else y @ t[name + "attention.wv.weight"].T
            mixed = attention(q, k, v, s["n_heads"], s["n_heads"], (s["dim"] // s["n_heads"]) ** -0.5)
            return mixed if s["no_wo"] else mixed @ t[name + "attention.wo.weight"].T

        there = not (s["no_ffn"] or s["no_first_layer_ffn"] and i == 0)
        ff = lambda y: y @ t[name + "ff.weight"].T if s["linear_ffn"] else mlp(t, name + "ff", y)
        if s["pre_norm"]:
            middle = h + attend(norm(name + "attention_norm", h))
            if there:
                middle = middle + ff(norm(name + "ff_norm", middle if s["sequential_ffn"] else h))
            h = middle
        else:
            h = norm(name + "attention_norm", h + attend(h))
            if there:
                h = norm(name + "ff_norm", h + ff(h))
    if s["pre_norm"]:
        h = norm("norm", h)
    tied = s["tie_output"] and not s["freeze_output"]
    return h @ (embeddings if tied else t["output.weight"]).T


def full_tensors(s, vocab):
    dim, trained = s["dim"], not s["freeze_embeddings"]
    expected = {
        "tok_embeddings.weight": ((vocab, dim), trained),
        "pos_embeddings.weight": ((s["max_length"], dim), trained),
    }
    if s["sin_cos"]:
        expected["pe"] = ((s["max_length"], dim), False)
    norms = ["norm"] if s["pre_norm"] else []
    for i in range(s["n_layers"]):
        maps = [("wq", True), ("wk", True)]
        maps += [] if s["no_wv"] else [("wv", not s["freeze_wv"])]
        maps += [] if s["no_wo"] else [("wo", not s["freeze_wo"])]
        for map_, trains in maps:
            expected[f"layers.{i}.attention.{map_}.weight"] = ((dim, dim), trains)
        if not (s["no_ffn"] or s["no_first_layer_ffn"] and i == 0):
            if s["linear_ffn"]:
                expected[f"layers.{i}.ff.weight"] = ((dim, dim), True)
            else:
                expected[f"layers.{i}.ff.w1.weight"] = ((4 * dim, dim), True)
                expected[f"layers.{i}.ff.w2.weight"] = ((dim, 4 * dim), True)
        norms += [f"layers.{i}.attention_norm", f"layers.{i}.ff_norm"]
    for name in [] if s["no_norm"] else norms:
        expected |= {name + ".weight": ((dim,), True), name + ".bias": ((dim,), True)}
    if s["freeze_output"] or not s["tie_output"]:
        expected["output.weight"] = ((vocab, dim), not s["freeze_output"])
    return expected


# a transformer of interchangeable blocks


def transformer(t, s, x):
    heads, key_heads = s["heads"], s["key_heads"] or s["heads"]
    width = s["dim"] // heads
    embeddings = t["tok_embeddings.weight"]
    h = embeddings[x]
    if s["positions"] in ("learned", "frozen", "sin_cos"):
        h = h + t["pos_embeddings.weight"][: x.shape[1]]

    def norm(name, y):
        if s["norm"] == "layer":
            return arrays.layer_norm(y, t[name + ".weight"], t[name + ".bias"])
        return arrays.rms(y) * t[name + ".weight"] if s["norm"] == "rms" else y

    def map_(kind, name, y):
        if kind == "identity":
            return y
        if kind == "low_rank":
            return y @ t[name + ".down.weight"].T @ t[name + ".up.weight"].T
        return y @ t[name + ".weight"].T

    def attend(name, y):
        q, k, v = (map_(s[m], name + "." + m, y) for m in ("wq", "wk", "wv"))
        mixed = attention(
            q,
            k,
            v,
            heads,
            key_heads,
            width**-0.5 if s["scale_scores"] else 1.0,
            s["normaliser"],
            bias=t[name + ".relative.weight"] if s["positions"] in ("relative", "alibi") else None,
            window=s["window"],
            change=(t[name + ".change.q_gain"], t[name + ".change.k_gain"]) if s["qk_norm"] else None,
            base=s["rotary_base"] if s["positions"] == "rotary" else None,
        )
        return map_(s["wo"], name + ".wo", mixed)

    def ff(name, y):
        if s["ff"] == "linear":
            return y @ t[name + ".weight"].T
        hidden = arrays.ACTIVATIONS[s["activation"]](y @ t[name + ".w1.weight"].T)
        if s["gated"]:
            hidden = hidden * (y @ t[name + ".w3.weight"].T)
        return hidden @ t[name + ".w2.weight"].T

    for i in range(s["layers"]):
        name, there = f"layers.{i}.", s["ff"] != "none"
        norm1, norm2 = (lambda y, n=n: norm(name + n, y) for n in ("attention_norm", "ff_norm"))
        if s["wiring"] == "parallel":
            middle = h + attend(name + "attention", norm1(h))
            h = middle + ff(name + "ff", norm2(h)) if there else middle
        elif s["wiring"] == "sequential":
            h = h + attend(name + "attention", norm1(h))
            h = h + ff(name + "ff", norm2(h)) if there else h
        elif s["wiring"] == "post_norm":
            h = norm1(h + attend(name + "attention", h))
            h = norm2(h + ff(name + "ff", h)) if there else h
        else:
            h = attend(name + "attention", norm1(h))
            h = ff(name + "ff", norm2(h)) if there else h
    if s["wiring"] != "post_norm":
        h = norm("norm", h)
    return h @ (embeddings if s["output"] == "tied" else t["output.weight"]).T


def transformer_tensors(s, vocab):
    dim, heads, key_heads = s["dim"], s["heads"], s["key_heads"] or s["heads"]
    width, rank = dim // heads, s["rank"]
    expected = {"tok_embeddings.weight": ((vocab, dim), not s["freeze_embeddings"])}
    if s["positions"] in ("learned", "frozen", "sin_cos"):
        trains = s["positions"] == "learned" and not s["freeze_embeddings"]
        expected["pos_embeddings.weight"] = ((s["max_length"], dim), trains)
    norms = [] if s["wiring"] == "post_norm" else ["norm"]
    for i in range(s["layers"]):
        name = f"layers.{i}.attention."
        for map_ in ("wq", "wk", "wv", "wo"):
            outputs = width * key_heads if map_ in ("wk", "wv") else dim
            if s[map_] == "low_rank":
                expected[f"{name}{map_}.down.weight"] = ((rank, dim), True)
                expected[f"{name}{map_}.up.weight"] = ((outputs, rank), True)
            elif s[map_] != "identity":
                expected[f"{name}{map_}.weight"] = ((outputs, dim), s[map_] == "learned")
        if s["positions"] in ("relative", "alibi"):
            expected[name + "relative.weight"] = ((heads, s["max_length"]), s["positions"] == "relative")
        if s["qk_norm"]:
            expected |= {name + "change.q_gain": ((width,), True), name + "change.k_gain": ((width,), True)}
        norms.append(f"layers.{i}.attention_norm")
        if s["ff"] == "linear":
            expected[f"layers.{i}.ff.weight"] = ((dim, dim), True)
        if s["ff"] == "mlp":
            hidden = s["hidden"] or 4 * dim
            for map_ in ("w1", "w3") if s["gated"] else ("w1",):
                expected[f"layers.{i}.ff.{map_}.weight"] = ((hidden, dim), True)
            expected[f"layers.{i}.ff.w2.weight"] = ((dim, hidden), True)
        norms += [f"layers.{i}.ff_norm"] if s["ff"] != "none" else []
    for name in norms:
        expected |= {} if s["norm"] == "none" else {name + ".weight": ((dim,), True)}
        expected |= {name + ".bias": ((dim,), True)} if s["norm"] == "layer" else {}
    if s["output"] != "tied":
        expected["output.weight"] = ((vocab, dim), s["output"] == "trained")
    return expected


MODELS = {
    "basic": (basic, basic_tensors),
    "full": (full, full_tensors),
    "transformer": (transformer, transformer_tensors),
}
