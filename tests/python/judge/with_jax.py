"""The formulas in JAX, in double precision."""

import os

# each operation is compiled for each shape and runs a few times
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

constant, exp, log, where, einsum = jnp.asarray, jnp.exp, jnp.log, jnp.where, jnp.einsum


def stacked(a, b):
    return jnp.stack([a, b], axis=-1)


def repeated(x, n):
    return jnp.repeat(x, n, axis=2)


def positive(x):
    return jnp.where(x > 0, x, 0.0)


def sigmoid(x):
    return 1 / (1 + jnp.exp(-x))


ACTIVATIONS = {
    "relu": positive,
    "gelu": lambda x: x * 0.5 * (1 + jax.scipy.special.erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + jnp.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + jnp.exp(-x)),
    "tanh": jnp.tanh,
    "sigmoid": sigmoid,
    "identity": lambda x: x,
}


def softmax(scores, seen, off_by_one):
    shown = jnp.where(seen, scores, -jnp.inf)
    highest = jax.lax.stop_gradient(shown.max(-1, keepdims=True))
    if off_by_one:
        highest = positive(highest)
    exponentials = jnp.where(seen, jnp.exp(shown - highest), 0.0)
    sink = jnp.exp(-highest) if off_by_one else 0.0
    return exponentials / (sink + exponentials.sum(-1, keepdims=True))


def layer_norm(x, gain, bias):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / jnp.sqrt(variance + 1e-5) * gain + bias


def rms(x):
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def cross_entropy(logits, y, selected):
    highest = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    log_sum = jnp.log(jnp.exp(logits - highest).sum(-1)) + highest[..., 0]
    own = jnp.take_along_axis(logits, y[..., None], axis=-1)[..., 0]
    return ((log_sum - own) * selected).sum() / selected.sum()


def gradients(loss, moving):
    (value, logits), found = jax.value_and_grad(loss, has_aux=True)(moving)
    return float(value), np.asarray(logits), {name: np.asarray(gradient) for name, gradient in found.items()}


class Optimiser:
    def __init__(self, settings, betas):
        self.settings, self.betas, self.momenta = settings, betas, {}

    def updated(self, name, p, g):
        rate, decay = self.settings["learning_rate"], self.settings["weight_decay"]
        if self.settings["use_sgd"]:
            g = g + decay * p
            momentum = self.momenta.get(name)
            momentum = g if momentum is None else self.settings["momentum"] * momentum + g
            self.momenta[name] = momentum
            return p - rate * momentum
        (b1, b2), (steps, m, v) = self.betas, self.momenta.get(name, (0, 0.0, 0.0))
        steps, m, v = steps + 1, b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        self.momenta[name] = steps, m, v
        update = (m / (1 - b1**steps)) / (np.sqrt(v / (1 - b2**steps)) + 1e-8)
        return p * (1 - rate * decay) - rate * update
