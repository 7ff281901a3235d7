"""Random configurations: every flag of the paper's two programs, and every setting of the transformer of interchangeable blocks."""

import string

import numpy as np

from data import Bigrams
from models import MODELS

NORMALISERS = ["softmax", "softmax_off_by_one", "relu", "mean_relu", "sigmoid", "linear", "mean_linear"]
POSITIONS = ["learned", "frozen", "sin_cos", "rotary", "relative", "alibi", "none"]
ACTIVATIONS = ["relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "identity"]
WIRINGS = ["parallel", "sequential", "post_norm", "no_residual"]
SHAPES = 5


def shape(rng):
    """Sizes that many cases share, since JAX compiles each operation for each shape anew."""
    letters = int(rng.choice([2, 3, 7, 65]))
    text = None
    if letters < 65:
        drawn = rng.choice(list(string.ascii_lowercase[:letters]), size=int(rng.integers(20, 200)))
        text = string.ascii_lowercase[:letters] + "".join(drawn) + "a"
    heads = int(rng.choice([1, 1, 2, 4]))
    seq = int(rng.integers(1, 20))
    width = int(rng.integers(1, 6))
    return {
        "text": text,
        "heads": heads,
        "key_heads": int(rng.choice([n for n in (1, 2, 4) if heads % n == 0])),
        "dim": heads * (2 * width if rng.random() < 0.7 else width),
        "seq_length": seq,
        "max_length": seq + int(rng.choice([0, 3])),
        "batch_size": int(rng.integers(1, 5)),
        "hidden": int(rng.integers(1, 12)),
        "rank": int(rng.integers(1, heads * width + 1)),
    }


class Case:
    """One configuration: the program, its settings, and the command line that asks for them."""

    def __init__(self, seed, number, shapes):
        rng = np.random.default_rng([seed, number])
        self.name = f"{seed}:{number}"
        self.rng = rng
        self.flip = lambda p=0.3: bool(rng.random() < p)
        self.of = lambda *choices: choices[rng.integers(len(choices))]
        self.shape = shapes[rng.integers(len(shapes))]
        self.bigrams = Bigrams(self.shape["text"])
        self.program = self.of("basic", "full", "transformer", "transformer")
        self.steps = 5
        self.run = {"seed": int(rng.integers(1000)), "num_data_workers": int(self.of(1, 1, 2, 3))}
        self.data = self.drawn_data()
        self.model = getattr(self, "drawn_" + self.program)()
        self.optim = self.drawn_optim()
        self.head_only = self.program != "full" and self.flip(0.4)
        self.bigram_outs = self.program == "basic" and self.flip(0.4)
        self.betas = (0.9, 0.95) if self.program == "basic" else (0.9, 0.99)
        self.changes = self.drawn_changes()

    def drawn_data(self):
        vocab, seq = self.bigrams.vocab, self.shape["seq_length"]
        k = int(self.rng.integers(0, min(vocab, 4) + 1))
        fixed = self.flip(0.5)
        return {
            "k": k,
            "seq_length": seq,
            "show_latents": k < seq and self.flip(),
            "fixed_special_toks": fixed,
            "special_toks_offset": int(self.rng.integers(0, vocab - k + 1)) if fixed else 0,
            "output_counter": not self.flip(),
            "no_repeat": not np.any(np.diag(self.bigrams.cond) == 1) and self.flip(),
        }

    def drawn_basic(self):
        flags = ["final_ffn", "first_ffn", "freeze_embeddings", "freeze_output", "tie_output", "use_rope"]
        flags += ["sqrtd_embeddings", "no_sqrtd", "sin_cos", "linear_final_ffn", "linear_first_ffn"]
        drawn = {flag: self.flip(0.4) for flag in flags}
        drawn["use_rope"] &= self.shape["dim"] % 2 == 0
        return {"dim": self.shape["dim"], "max_length": self.shape["max_length"]} | drawn

    def drawn_full(self):
        flags = ["sequential_ffn", "no_ffn", "no_norm", "linear_ffn", "no_first_layer_ffn", "freeze_embeddings"]
        flags += ["freeze_output", "tie_output", "freeze_wv", "freeze_wo", "no_wo", "no_wv", "sin_cos"]
        sizes = {"dim": self.shape["dim"], "n_heads": self.shape["heads"], "max_length": self.shape["max_length"]}
        return sizes | {"n_layers": int(self.of(1, 2, 2, 3)), "pre_norm": not self.flip()} | {f: self.flip() for f in flags}

    def drawn_transformer(self):
        shape, of, flip = self.shape, self.of, self.flip
        kinds = ("learned", "learned", "frozen", "low_rank", "identity")
        drawn = {
            "layers": int(of(1, 2, 3)),
            "dim": shape["dim"],
            "heads": shape["heads"],
            "key_heads": shape["key_heads"] if flip(0.5) else None,
            "max_length": shape["max_length"],
            "positions": of(*POSITIONS),
            "rotary_base": float(of(10000.0, 100.0)),
            "window": int(self.rng.integers(1, 6)) if flip() else None,
            "qk_norm": flip(),
            "normaliser": of(*NORMALISERS),
            "scale_scores": not flip(),
            "wiring": of(*WIRINGS),
            "norm": of("layer", "rms", "none"),
            "ff": of("mlp", "mlp", "linear", "none"),
            "activation": of(*ACTIVATIONS),
            "gated": flip(),
            "hidden": shape["hidden"] if flip(0.5) else None,
            **{map_: of(*kinds) for map_ in ("wq", "wk", "wv", "wo")},
            "rank": shape["rank"],
            "freeze_embeddings": flip(),
            "output": of("trained", "frozen", "tied"),
        }
        if (drawn["key_heads"] or drawn["heads"]) < drawn["heads"]:
            for map_ in ("wk", "wv"):
                drawn[map_] = "learned" if drawn[map_] == "identity" else drawn[map_]
        if drawn["positions"] == "rotary" and shape["dim"] // shape["heads"] % 2:
            drawn["positions"] = "relative"
        return drawn

    def drawn_optim(self):
        rng, sgd = self.rng, self.flip(0.5)
        return {
            "use_sgd": sgd,
            "learning_rate": float(10 ** rng.uniform(-3, -0.3 if sgd else -1.5)),
            "weight_decay": float(self.of(0.0, 1e-4, 0.1)),
            "momentum": float(self.of(0.0, 0.5, 0.9)),
            "batch_size": self.shape["batch_size"],
        }

    def drawn_changes(self):
        """`[iteration, freeze or release, name]`, in the order in which they happen."""
        tensors = MODELS[self.program][1](self.model, self.bigrams.vocab)
        tables = ["pe"] + ["pos_embeddings.weight"] * (self.model.get("positions") == "sin_cos")
        parameters = {name: trains for name, (_, trains) in tensors.items() if name not in tables}
        if not self.flip():
            return []
        if self.program == "basic":
            chosen = [self.of(*parameters) for _ in range(2)]
            until = [(int(self.rng.integers(0, 5)), name) for name in chosen]
            return [(0, "freeze", name) for _, name in until] + sorted((i, "release", name) for i, name in until)
        if self.program == "full":
            return []
        changes = []
        if any(parameters.values()):
            name = self.of(*[name for name, trains in parameters.items() if trains])
            changes = [(1, "freeze", name), (3, "release", name)]
        if not all(parameters.values()):
            changes.insert(1, (2, "release", self.of(*[name for name, trains in parameters.items() if not trains])))
        return sorted(changes)

    def line(self, directory):
        """The settings of the command line; a text goes to a file in this folder."""
        said = lambda value: "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        groups = {"": self.run, "model_args.": self.model, "data_args.": self.data, "optim_args.": self.optim}
        line = [f"{group}{key}={said(value)}" for group, settings in groups.items() for key, value in settings.items()]
        line += [f"max_iters={self.steps}", "precision=double", "eval_delta=1000", "log=quiet", "test_batch_size=1"]
        line += [f"threads={1 + int(self.shape['batch_size'] > 2)}"]
        if self.shape["text"] is not None:
            path = directory / f"{abs(hash(self.shape['text']))}.txt"
            path.write_text(self.shape["text"])
            line.append(f"data_args.text={path}")
        if self.program == "basic":
            line += [f"loss_head_only={said(self.head_only)}", f"bigram_outs_train={said(self.bigram_outs)}"]
            until = ",".join(f"{i}:{name}" for i, what, name in self.changes if what == "release")
            line += [f"freeze_until={until}"]
        if self.program == "transformer":
            line += [f"loss_head_only={said(self.head_only)}"]
            line += ["timeline=" + ", ".join(f"{i}: {what}({name})" for i, what, name in self.changes)]
        return line
