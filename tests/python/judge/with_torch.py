"""PyTorch's own functions, optimisers and gradients, in double precision on the processor."""

import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

constant, exp, log, where, einsum = torch.as_tensor, torch.exp, torch.log, torch.where, torch.einsum
positive, sigmoid = torch.relu, torch.sigmoid

ACTIVATIONS = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


def stacked(a, b):
    return torch.stack([a, b], dim=-1)


def repeated(x, n):
    return torch.repeat_interleave(x, n, dim=2)


def softmax(scores, seen, off_by_one):
    shown = scores.masked_fill(~torch.as_tensor(seen), -math.inf)
    if off_by_one:
        return torch.softmax(F.pad(shown, (1, 0)), dim=-1)[..., 1:]
    return torch.softmax(shown, dim=-1)


def layer_norm(x, gain, bias):
    return F.layer_norm(x, x.shape[-1:], gain, bias, eps=1e-5)


def rms(x):
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


def cross_entropy(logits, y, selected):
    selected = torch.as_tensor(selected)
    return F.cross_entropy(logits[selected], torch.as_tensor(y)[selected])


def gradients(loss, moving):
    leaves = {name: torch.tensor(values, requires_grad=True) for name, values in moving.items()}
    value, logits = loss(leaves)
    if value.requires_grad:
        value.backward()
    none = torch.zeros_like
    found = {name: (none(leaf) if leaf.grad is None else leaf.grad).numpy() for name, leaf in leaves.items()}
    return value.item(), logits.detach().numpy(), found


class Optimiser:
    """An optimiser of PyTorch's for each parameter, so that one that is frozen is not touched."""

    def __init__(self, settings, betas):
        self.settings, self.betas, self.known = settings, betas, {}

    def updated(self, name, p, g):
        if name not in self.known:
            parameter = torch.nn.Parameter(torch.tensor(p))
            rates = {"lr": self.settings["learning_rate"], "weight_decay": self.settings["weight_decay"]}
            if self.settings["use_sgd"]:
                optimiser = torch.optim.SGD([parameter], momentum=self.settings["momentum"], **rates)
            else:
                optimiser = torch.optim.AdamW([parameter], betas=self.betas, eps=1e-8, **rates)
            self.known[name] = parameter, optimiser
        parameter, optimiser = self.known[name]
        parameter.grad = torch.tensor(g)
        optimiser.step()
        return parameter.detach().numpy().copy()
