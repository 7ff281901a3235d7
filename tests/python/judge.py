"""A judge that is not ours: random configurations, computed by `judged` and by JAX in double precision.

    python3 tests/python/judge.py target/release/examples/judged 200

Tokens and marks must be equal; logits, gradients and the weights after five steps of SGD or AdamW agree to 1e-9 of the largest
entry. Some runs amplify every perturbation (AdamW where a gradient is of the order of rounding, norms of rows that are nearly constant):
where a difference is larger, JAX runs once more from weights that were changed by 1e-13 of themselves, and the difference must be explained by
what that changes. The cases of a seed are always the same; `--only 3:17` repeats case 17 of seed 3. Those that have once failed are in
`judge/failed.txt`, and are repeated in every run.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "judge"))

# each operation is compiled for each shape and runs a few times
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from data import batches  # noqa: E402
from draw import SHAPES, Case, shape  # noqa: E402
from models import MODELS, Read  # noqa: E402

TIED = "tok_embeddings.weight", "output.weight"
STRICT, PERTURBATION, RESPONSES = 1e-9, 1e-13, 10


class Trained:
    """What JAX makes of a configuration from these initial tensors."""

    def __init__(self, case, tensors, trains, drawn):
        self.case, self.read, self.momenta = case, set(), {}
        tensors = {name: np.array(values) for name, values in tensors.items()}
        trains, self.losses, self.gradients = dict(trains), [], None
        ever = {name for name in tensors if trains[name]} | {name for _, _, name in case.changes}
        for step, (x, y, marks) in enumerate(drawn):
            for iteration, what, name in case.changes:
                if iteration == step:
                    trains[name] = what == "release"
            fixed = {name: values for name, values in tensors.items() if name not in ever}
            moving = {name: tensors[name] for name in ever}
            (loss, logits), gradients = jax.value_and_grad(self.loss, has_aux=True)(moving, fixed, x, y, marks)
            if step == 0:
                self.logits = np.asarray(logits)
                self.gradients = {name: np.asarray(gradients[name]) for name in ever if trains[name]}
            self.losses.append(float(loss))
            for name in ever & self.read:
                if trains[name]:
                    gradient = np.asarray(gradients[name])
                    tensors[name] = self.updated(name, tensors[name], gradient)
        self.weights = tensors

    def loss(self, moving, fixed, x, y, marks):
        case = self.case
        logits = MODELS[case.program][0](Read(moving | fixed, self.read), case.model, x)
        selected = marks >= 2 if case.head_only else np.ones_like(marks, dtype=bool)
        if not selected.any():
            return 0.0 * logits.sum(), logits
        highest = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
        log_sum = jnp.log(jnp.exp(logits - highest).sum(-1)) + highest[..., 0]
        own = jnp.take_along_axis(logits, y[..., None], axis=-1)[..., 0]
        return ((log_sum - own) * selected).sum() / selected.sum(), logits

    def updated(self, name, p, g):
        o = self.case.optim
        rate, decay = o["learning_rate"], o["weight_decay"]
        if o["use_sgd"]:
            g = g + decay * p
            momentum = self.momenta.get(name)
            momentum = g if momentum is None else o["momentum"] * momentum + g
            self.momenta[name] = momentum
            return p - rate * momentum
        (b1, b2), (steps, m, v) = self.case.betas, self.momenta.get(name, (0, 0.0, 0.0))
        steps, m, v = steps + 1, b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        self.momenta[name] = steps, m, v
        update = (m / (1 - b1**steps)) / (np.sqrt(v / (1 - b2**steps)) + 1e-8)
        return p * (1 - rate * decay) - rate * update

    def quantities(self):
        """What is compared, each with the size that its errors are relative to."""
        largest = max((np.abs(g).max() for g in self.gradients.values()), default=0.0)
        yield "logits", self.logits, max(1.0, np.abs(self.logits).max())
        for name, gradient in self.gradients.items():
            yield "gradient of " + name, gradient, largest
        for name, values in self.weights.items():
            yield "weights " + name, values, max(1.0, np.abs(values).max())


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
    trains = {name: t["trains"] for name, t in answer["tensors"].items()}
    plain = Trained(case, tensors, trains, drawn)
    ours = {"logits": answer["logits"]}
    ours |= {"gradient of " + name: values for name, values in answer["gradients"].items()}
    ours |= {"weights " + name: values for name, values in answer["weights"].items()}
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
    for step, (a, b, (_, _, marks)) in enumerate(zip(answer["losses"], plain.losses, drawn)):
        nothing = case.head_only and not (marks >= 2).any()
        if (a is None) != nothing or a is not None and not far and abs(a - b) > STRICT * max(1.0, abs(b)):
            problems.append(f"the loss of step {step} is {a}, not {b}")
    if far:
        noise = np.random.default_rng(0)
        moved = {name: t * (1 + PERTURBATION * noise.standard_normal(t.shape)) for name, t in tensors.items()}
        moved = {name: values for name, values, _ in Trained(case, moved, trains, drawn).quantities()}
        for name, values, _ in plain.quantities():
            response = np.abs(moved[name] - values).max(initial=0.0)
            if name in far and not far[name] <= RESPONSES * response:
                problems.append(f"{name} is off by {far[name]:.1e}; a perturbation makes {response:.1e}")
    return problems, bool(far)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("cases", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only")
    options = parser.parse_args()
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
