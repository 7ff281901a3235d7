"""One training step of some variations in PyTorch, to be timed beside `examples/variation_time.rs`; `full` beside
`examples/step_time.rs model=full`, with `--gradients`, since that makes no update.

Arms: eager (full score matrices, as a researcher writes them) and best (fused attention where there is one, logits only
where the loss needs them, torch.compile). Prints `<variation> <arm> seconds=<median> rss_mb=<peak>`, a line each.
Needs torch and numpy. Examples: python torch_variations.py v1 v2 --seq 64 --arm eager
    python torch_variations.py full --seq 256 --dim 512 --heads 8 --layers 4 --batch 32 --gradients
"""
import argparse, math, resource, time
import torch
from torch import nn
from torch.nn import functional as F

# layers, dim, batch, vocab, simplified, feed-forward of each layer, norms, heads, feed-forward beside attention instead of behind it, ReLU
# attention, layer 0 clamped, share of positions in the loss
VARIATIONS = {
    "v1": dict(layers=2, dim=128, batch=128, vocab=65, simplified=True, frozen_wo=True, frac=0.27),
    "v2": dict(layers=1, dim=64, batch=32, vocab=66, ff="mlp", norm=True, relu=True),
    "v3": dict(layers=2, dim=128, batch=64, vocab=66, simplified=True, ff="last"),
    "v4": dict(layers=2, dim=32, batch=64, vocab=3, norm=True),
    "full": dict(layers=2, dim=128, batch=64, vocab=65, heads=4, ff="mlp", norm=True, beside=True),
    "llama": dict(layers=2, dim=128, batch=64, vocab=65, llama=True, heads=4, hidden=344),
    "v6": dict(layers=2, dim=128, batch=64, vocab=65, simplified=True, clamped=True, frac=0.27),
}


def linear(i, o, trains=True):
    m = nn.Linear(i, o, bias=False)
    m.weight.requires_grad_(trains)
    return m


class Attention(nn.Module):
    def __init__(s, v, layer, fused):
        super().__init__()
        d, simple = v["dim"], v.get("simplified")
        s.relu, s.fused, s.heads = v.get("relu"), fused, v.get("heads", 1)
        s.clamped = v.get("clamped") and layer == 0
        s.q = nn.Identity() if simple else linear(d, d)
        s.k = nn.Identity() if s.clamped else linear(d, d)
        s.v = linear(d, d, not simple)
        s.o = linear(d, d, not (simple and (layer == 0 or v.get("frozen_wo"))))

    def forward(s, x, mask, counts):
        if s.clamped:  # the position before
            return s.o(s.v(torch.cat([x[:, :1], x[:, :-1]], 1)))
        q, k, v = s.q(x), s.k(x), s.v(x)
        if s.heads > 1:
            q, k, v = (m.unflatten(2, (s.heads, -1)).transpose(1, 2) for m in (q, k, v))
            if s.fused:
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                mixed = F.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]) + mask, -1) @ v
            return s.o(mixed.transpose(1, 2).flatten(2))
        if s.fused and not s.relu:
            return s.o(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        scores = q @ k.transpose(1, 2) / math.sqrt(x.shape[2]) + mask
        return s.o((F.relu(scores) / counts if s.relu else F.softmax(scores, -1)) @ v)


class RmsNorm(nn.Module):
    def __init__(s, d):
        super().__init__()
        s.weight = nn.Parameter(torch.ones(d))

    def forward(s, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * s.weight


class Llama(nn.Module):
    """RMS norm, rotary attention and SwiGLU around a residual stream."""

    def __init__(s, v, seq, fused):
        super().__init__()
        d, hidden = v["dim"], v["hidden"]
        s.heads, s.fused = v["heads"], fused
        s.emb, s.out, s.norm = nn.Embedding(v["vocab"], d), linear(d, v["vocab"]), RmsNorm(d)
        layer = lambda: nn.ModuleDict(
            dict(q=linear(d, d), k=linear(d, d), v=linear(d, d), o=linear(d, d), w1=linear(d, hidden), w3=linear(d, hidden),
                 w2=linear(hidden, d), n1=RmsNorm(d), n2=RmsNorm(d))
        )
        s.layers = nn.ModuleList(layer() for _ in range(v["layers"]))
        width = d // s.heads
        angles = torch.outer(torch.arange(seq), 10000.0 ** (-torch.arange(0, width, 2) / width))
        s.register_buffer("cos", angles.cos())
        s.register_buffer("sin", angles.sin())
        s.register_buffer("mask", torch.full((seq, seq), -math.inf).triu(1))

    def turn(s, x):
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * s.cos - b * s.sin, a * s.sin + b * s.cos], -1).flatten(-2)

    def forward(s, x, pick=None):
        h = s.emb(x)
        for l in s.layers:
            y = l["n1"](h)
            q, k, v = (l[m](y).unflatten(2, (s.heads, -1)).transpose(1, 2) for m in "qkv")
            q, k = s.turn(q), s.turn(k)
            if s.fused:
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                y = F.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]) + s.mask, -1) @ v
            h = h + l["o"](y.transpose(1, 2).flatten(2))
            y = l["n2"](h)
            h = h + l["w2"](F.silu(l["w1"](y)) * l["w3"](y))
        h = h.flatten(0, 1)
        return s.out(s.norm(h if pick is None else h[pick]))


class Model(nn.Module):
    def __init__(s, v, seq, fused):
        super().__init__()
        d, n = v["dim"], v["layers"]
        s.emb = nn.Embedding(v["vocab"], d)
        s.pos = nn.Parameter(torch.randn(seq, d), requires_grad=not v.get("simplified"))
        s.att = nn.ModuleList(Attention(v, l, fused) for l in range(n))
        norms = lambda: nn.ModuleList(nn.LayerNorm(d) if v.get("norm") else nn.Identity() for _ in range(n))
        s.n1, s.n2, s.norm = norms(), norms(), nn.LayerNorm(d) if v.get("norm") else nn.Identity()
        ff = lambda l: {"mlp": lambda: nn.Sequential(linear(d, 4 * d), nn.ReLU(), linear(4 * d, d)), "last": lambda: linear(d, d) if l == n - 1 else None}
        s.ff = nn.ModuleList(ff(l).get(v.get("ff"), lambda: None)() for l in range(n))
        s.out, s.beside = linear(d, v["vocab"]), v.get("beside")
        s.register_buffer("mask", torch.full((seq, seq), -math.inf).triu(1))
        s.register_buffer("counts", torch.arange(1.0, seq + 1)[:, None])

    def forward(s, x, pick=None):
        h = s.emb(x) + s.pos
        for n1, att, n2, ff in zip(s.n1, s.att, s.n2, s.ff):
            if s.beside:
                h = h + att(n1(h), s.mask, s.counts) + ff(n2(h))
                continue
            h = h + att(n1(h), s.mask, s.counts)
            h = h if ff is None else h + ff(n2(h))
        h = h.flatten(0, 1)
        return s.out(s.norm(h if pick is None else h[pick]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("variations", nargs="*", default=list(VARIATIONS))
    p.add_argument("--seq", type=int, default=64)
    p.add_argument("--dim", type=int)
    p.add_argument("--batch", type=int)
    p.add_argument("--layers", type=int)
    p.add_argument("--heads", type=int)
    p.add_argument("--vocab", type=int)
    p.add_argument("--gradients", action="store_true", help="gradients alone, without the optimiser's update")
    p.add_argument("--steps", type=int, default=9)
    p.add_argument("--arm", choices=["eager", "best", "both"], default="both")
    a = p.parse_args()
    torch.manual_seed(0)
    for name in a.variations:
        v = dict(VARIATIONS[name])
        v.update({key: value for key in ("dim", "layers", "heads", "vocab") if (value := getattr(a, key))})
        batch = a.batch or v["batch"]
        x, y = torch.randint(v["vocab"], (2, batch, a.seq))
        y = y.flatten()
        chosen = torch.rand(batch * a.seq) < v.get("frac", 1.0)
        pick = chosen.nonzero().squeeze(1)
        for arm in ["eager", "best"] if a.arm == "both" else [a.arm]:
            m = (Llama if v.get("llama") else Model)(v, a.seq, arm == "best")
            opt = torch.optim.AdamW([q for q in m.parameters() if q.requires_grad], lr=0.003)
            f = torch.compile(m) if arm == "best" else m
            seconds = []
            for _ in range(a.steps + 2):
                begin = time.perf_counter()
                opt.zero_grad()
                loss = F.cross_entropy(f(x, pick), y[pick]) if arm == "best" else F.cross_entropy(f(x)[chosen], y[chosen])
                loss.backward()
                if not a.gradients:
                    opt.step()
                seconds.append(time.perf_counter() - begin)
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{name} {arm} batch={batch} seq={a.seq} dim={v['dim']} seconds={sorted(seconds[2:])[a.steps // 2]:.5f} rss_mb={rss}", flush=True)


if __name__ == "__main__":
    main()
