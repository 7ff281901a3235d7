"""Weights from here to PyTorch and back. By hand, not in CI: PyTorch installs 5.4 GB.

    cargo build --release --example ihead_basic
    python3 tests/python/torch_interchange.py target/release/examples

1. `ihead_basic` trains; PyTorch reads final.safetensors into a model of the same names, strictly: no name too many or too few.
2. PyTorch trains that model some steps on sequences of its own and writes its state dict; `ihead_basic init_from=` goes on from
   there, and has all tensors to the last bit.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

program = pathlib.Path(sys.argv[1]) / "ihead_basic"
dim, seq = 32, 32


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(3))

    def forward(self, x):
        scores = x @ self.wk(x).transpose(-1, -2) / dim**0.5  # the query map is the identity
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        return self.wo(scores.masked_fill(~causal, float("-inf")).softmax(-1) @ self.wv(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()


class Simplified(nn.Module):
    """The paper's simplified model, under its state-dict names."""

    def __init__(self, vocab):
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab, dim)
        self.register_buffer("pe", torch.zeros(seq, dim))
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.output = nn.Linear(dim, vocab, bias=False)

    def forward(self, tokens):
        h = self.tok_embeddings(tokens) + self.pe[: tokens.shape[-1]]
        for layer in self.layers:
            h = h + layer.attention(h)
        return self.output(h)


settings = f"""data_args.k=3 data_args.seq_length={seq} model_args.max_length={seq} model_args.dim={dim} loss_head_only=false
optim_args.batch_size=64 test_batch_size=64 eval_delta=1 optim_args.learning_rate=0.1""".split()


def train(folder, iterations, *more):
    line = [program, *settings, f"max_iters={iterations}", f"save_dir={folder}", *more]
    subprocess.run([str(arg) for arg in line], check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line)["loss"] for line in (folder / "res.jsonl").read_text().splitlines()]


with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    losses = train(place / "first", 200)
    print(f"here:    {losses[0]:.4f} -> {losses[-1]:.4f} in 200 steps")

    weights = load_file(place / "first" / "final.safetensors")
    model = Simplified(weights["output.weight"].shape[0])
    print("PyTorch:", model.load_state_dict(weights, strict=True))

    # sequences that the model has not seen: a pattern that repeats, which PyTorch alone trains on
    torch.manual_seed(0)
    half = torch.randint(0, model.output.out_features, (256, seq // 2 + 1))
    tokens = torch.cat([half, half], 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(50):
        loss = F.cross_entropy(model(tokens[:, :seq]).flatten(0, 1), tokens[:, 1 : seq + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (0, 49):
            print(f"PyTorch: step {step}, loss {loss.item():.4f} on repeated random tokens")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, place / "torch.safetensors")

    losses = train(place / "second", 50, f"init_from={place / 'torch.safetensors'}")
    print(f"here:    {losses[0]:.4f} -> {losses[-1]:.4f} in 50 steps from PyTorch's weights")

    # the weights of step 0 are PyTorch's to the last bit
    train(place / "still", 1, f"init_from={place / 'torch.safetensors'}", "timeline=0: freeze(*)")
    kept = load_file(place / "still" / "final.safetensors")
    assert kept.keys() == model.state_dict().keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.state_dict().items())
    print(f"both:    {len(kept)} tensors equal to the last bit")
