"""A judge that is not ours: random configurations, computed by `judged` and by JAX or PyTorch in double precision.

    python3 tests/python/judge.py target/release/examples/judged 200 --backend torch

Tokens and marks must be equal; logits, gradients, losses and the weights after five steps of SGD or AdamW agree to 1e-9 of the largest
entry. Some runs amplify every perturbation (AdamW where a gradient is of the order of rounding, norms of rows that are nearly constant):
where a difference is larger, the judge runs once more from weights that were changed by 1e-13 of themselves, and once more with the gradient of
the loss for each logit rounded anew, and the difference must be explained by what either changes. (That gradient is the probability of a token, less
one for the next token: where a model is sure of it, rounding leaves little of the difference, in every program.) The cases of a seed are always the same; `--only 3:17` repeats case 17 of seed 3. Those that have once failed are in
`judge/failed.txt`, and are repeated in every run.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "judge"))

import arrays  # noqa: E402
import numpy as np  # noqa: E402
from data import batches  # noqa: E402
from draw import SHAPES, Case, shape  # noqa: E402
from models import MODELS, Read, tables  # noqa: E402

TIED = "tok_embeddings.weight", "output.weight"
STRICT, PERTURBATION, ROUNDING, RESPONSES = 1e-9, 1e-13, 2.0**-53, 10


class Trained:
    """What the judge makes of a configuration from these initial tensors; with a generator `noise`, with logits' gradients rounded anew."""

    def __init__(self, case, tensors, trains, drawn, noise=None):
        self.case, self.read, self.optimiser = case, set(), arrays.Optimiser(case.optim, case.betas)
        tensors = {name: np.array(values) for name, values in tensors.items()}
        trains, self.losses, self.gradients = dict(trains), [], None
        ever = {name for name in tensors if trains[name]} | {name for _, _, name in case.changes}
        for step, (x, y, marks) in enumerate(drawn):
            for iteration, what, name in case.changes:
                if iteration == step:
                    trains[name] = what == "release"
            fixed = {name: arrays.constant(values) for name, values in tensors.items() if name not in ever}
            moving = {name: tensors[name] for name in ever}

            def plain(moving, fixed=fixed, batch=(x, y, marks)):
                return self.loss(moving | fixed, *batch)

            loss, logits, gradients = arrays.gradients(plain, moving)
            if noise and self.selected(marks).any():
                errors = arrays.constant(self.rounding(logits, y, marks, noise))
                _, _, gradients = arrays.gradients(lambda moving, errors=errors: self.rounded(*plain(moving), errors), moving)
            if step == 0:
                self.logits = logits
                self.gradients = {name: gradients[name] for name in ever if trains[name]}
            self.losses.append(loss if self.selected(marks).any() else None)
            for name in ever & self.read:
                if trains[name]:
                    tensors[name] = self.optimiser.updated(name, tensors[name], gradients[name])
        self.weights = tensors

    def loss(self, tensors, x, y, marks):
        case = self.case
        logits = MODELS[case.program][0](Read(tensors, self.read), case.model, x)
        selected = self.selected(marks)
        if not selected.any():
            return 0.0 * logits.sum(), logits
        return arrays.cross_entropy(logits, y, selected), logits

    def rounding(self, logits, y, marks, noise):
        """Errors of the loss's gradient for the logits, `[batch, seq, vocab]`: of each probability, and of the one that is taken off."""
        selected = self.selected(marks)
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        sizes = exponentials / exponentials.sum(-1, keepdims=True) + np.eye(logits.shape[-1])[y]
        return ROUNDING * noise.standard_normal(logits.shape) * sizes * selected[..., None] / selected.sum()

    @staticmethod
    def rounded(loss, logits, errors):
        """The loss with these errors of its gradient for the logits."""
        return loss + (errors * logits).sum(), logits

    def selected(self, marks):
        return marks >= 2 if self.case.head_only else np.ones_like(marks, dtype=bool)

    def quantities(self):
        """What is compared, each with the size that its errors are relative to."""
        largest = max((np.abs(g).max() for g in self.gradients.values()), default=0.0)
        yield "logits", self.logits, max(1.0, np.abs(self.logits).max())
        for name, gradient in self.gradients.items():
            yield "gradient of " + name, gradient, largest
        for name, values in self.weights.items():
            yield "weights " + name, values, max(1.0, np.abs(values).max())
        for step, loss in enumerate(self.losses):
            if loss is not None:
                yield f"loss of step {step}", np.array(loss), max(1.0, abs(loss))


def compare(case, answer):
    """The differences that nothing explains, and whether an amplification had to be asked about; `None` of a run that diverges."""
    if answer.get("refused", "").startswith("diverged at iteration"):
        return [], None
    if "refused" in answer:
        return ["refused: " + answer["refused"]], False
    expected = MODELS[case.program][1](case.model, case.bigrams.vocab)
    found = {name: (tuple(t["shape"]), t["trains"]) for name, t in answer["tensors"].items()}
    for _, what, name in [change for change in case.changes if change[0] == 0]:
        expected[name] = (expected[name][0], what == "release")
    tied = "output.weight" not in expected
    if tied:
        expected["output.weight"] = expected["tok_embeddings.weight"]
    if found != expected:
        return [f"tensors: {set(found.items()) ^ set(expected.items())}"], False
    drawn = list(
        batches(case.bigrams, case.data, case.bigram_outs, case.optim["batch_size"], case.run["seed"], case.run["num_data_workers"], case.steps)
    )
    for step, (ours, theirs) in enumerate(zip(answer["batches"], drawn, strict=True)):
        if any(not np.array_equal(a, b.ravel()) for a, b in zip(ours, theirs)):
            return [f"the batch of step {step}"], False
    # a tied output is the embeddings under a second name, before and after
    for values in ([t["values"] for t in map(answer["tensors"].get, TIED)], [answer["weights"][name] for name in TIED]) if tied else ():
        if values[0] != values[1]:
            return ["output.weight is not tok_embeddings.weight"], False
    if tied:
        del answer["tensors"][TIED[1]], answer["weights"][TIED[1]]
    tensors = {name: np.array(t["values"]).reshape(t["shape"]) for name, t in answer["tensors"].items()}
    # tables are rounded to 32 bits, as those of the paper's program are
    for name, table in tables(case.model).items():
        if not np.allclose(tensors[name], table, rtol=6e-8, atol=6e-8):
            return [f"{name} is not the table that it should be"], False
    trains = {name: t["trains"] for name, t in answer["tensors"].items()}
    plain = Trained(case, tensors, trains, drawn)
    ours = {"logits": answer["logits"]}
    ours |= {"gradient of " + name: values for name, values in answer["gradients"].items()}
    ours |= {"weights " + name: values for name, values in answer["weights"].items()}
    ours |= {f"loss of step {step}": loss for step, loss in enumerate(answer["losses"]) if loss is not None}
    far = {}
    for name, theirs, size in plain.quantities():
        if name not in ours and name.removeprefix("gradient of ") not in plain.read:
            continue  # nothing reads it
        if name not in ours:
            return [f"{name} is missing"], False
        error = np.abs(np.array(ours.pop(name)) - theirs.ravel()).max(initial=0.0)
        if not error <= STRICT * size:
            far[name] = error
    problems = [f"{name} is there" for name in ours]
    if far:
        noise = np.random.default_rng(0)
        moved = {name: t * (1 + PERTURBATION * noise.standard_normal(t.shape)) for name, t in tensors.items()}
        others = Trained(case, moved, trains, drawn), Trained(case, tensors, trains, drawn, noise)
        others = [{name: values for name, values, _ in other.quantities()} for other in others]
        for name, values, _ in plain.quantities():
            response = max(np.abs(other[name] - values).max(initial=0.0) for other in others)
            if name in far and not far[name] <= RESPONSES * response:
                problems.append(f"{name} is off by {far[name]:.1e}; perturbations make {response:.1e}")
    return problems, bool(far)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("cases", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    parser.add_argument("--backend", choices=["jax", "torch"], default="jax")
    options = parser.parse_args()
    arrays.choose(options.backend)
    kept = [line.split("#")[0].strip() for line in (HERE / "judge" / "failed.txt").read_text().splitlines()]
    names = [f"{options.seed}:{number}" for number in range(options.cases)] + [name for name in kept if name]
    began, failed, amplified, diverged, kinds = time.time(), 0, 0, 0, {}
    with tempfile.TemporaryDirectory() as directory:
        judged = subprocess.Popen([options.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in [options.only] if options.only else names:
            seed, number = map(int, name.split(":"))
            shapes = [shape(np.random.default_rng([seed, 1 << 30, i])) for i in range(SHAPES)]
            case = Case(seed, number, shapes)
            line = case.line(pathlib.Path(directory))
            judged.stdin.write(json.dumps({"program": case.program, "line": line}) + "\n")
            judged.stdin.flush()
            said = judged.stdout.readline()
            assert said, f"{name}: no answer to {case.program} {' '.join(line)}"
            problems, far = compare(case, json.loads(said))
            if options.only:
                print(case.program, " ".join(line))
            kinds[case.program] = kinds.get(case.program, 0) + 1
            diverged += far is None
            amplified += bool(far) and not problems
            failed += bool(problems)
            if problems:
                print(f"{name}: {case.program} {' '.join(line)}", *problems, sep="\n    ")
        judged.stdin.close()
        assert judged.wait() == 0
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    print(f"{sum(kinds.values())} cases ({said}), {amplified} amplify, {diverged} diverge and are left out, {failed} failed", flush=True)
    print(f"{time.time() - began:.0f} s", file=sys.stderr)
    sys.exit(bool(failed))


main()
