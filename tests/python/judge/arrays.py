"""What the models compute with: `choose("jax")` or `choose("torch")`, before anything else of this module is used.

`with_jax.py` writes each formula out; `with_torch.py` takes PyTorch's own function wherever it has one. Both have these names:

    constant(x)                          an array of NumPy's as one of theirs
    exp, log, where, einsum              as in NumPy
    stacked(a, b)                        along a new last axis
    repeated(x, n)                       each entry of the third axis n times
    positive, sigmoid, ACTIVATIONS       of each element
    softmax(scores, seen, off_by_one)    over the last axis, zero where `seen` is false; `off_by_one` adds a score of 0 and drops its weight
    layer_norm(x, gain, bias), rms(x)    over the last axis, with 1e-5 under the root
    cross_entropy(logits, y, selected)   the mean over the selected positions
    gradients(loss, moving)              `loss(moving)` is the loss and the logits: both, and the gradients by name, as NumPy's
    Optimiser(settings, betas)           `updated(name, p, g)` is the parameter after a step of SGD or AdamW
"""

import importlib

_chosen = None


def choose(backend):
    global _chosen
    _chosen = importlib.import_module("with_" + backend)


def __getattr__(name):
    return getattr(_chosen, name)
