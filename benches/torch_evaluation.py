"""One evaluation of the simplified model in PyTorch: a forward pass of 512 sequences without gradients, with the attention patterns of
both layers, losses and accuracies over marked positions, and where each pattern is highest. Prints a line like step_time's.
Needs torch. Example: python torch_evaluation.py
"""
import math, time
import torch
from torch.nn import functional as F

B, T, D, V = 512, 256, 256, 65
torch.manual_seed(0)
emb, pos, out = torch.randn(V, D), torch.randn(T, D), torch.randn(V, D) / math.sqrt(D)
wk, wv, wo = ([torch.randn(D, D) / math.sqrt(D) for _ in range(2)] for _ in range(3))
x, y = torch.randint(V, (2, B, T))
marks = torch.rand(B, T) < 0.3
mask = torch.full((T, T), -math.inf).triu(1)


@torch.no_grad()
def evaluate():
    h, highest = emb[x] + pos, []
    for k, v, o in zip(wk, wv, wo):
        a = F.softmax(h @ (h @ k.T).transpose(1, 2) / math.sqrt(D) + mask, -1)
        highest.append(a.argmax(-1))
        h = h + a @ (h @ v.T) @ o.T
    logits = h @ out.T
    losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(B, T)
    right = (logits.argmax(-1) == y).float()
    back = (highest[0] == (torch.arange(T) - 1).clamp(min=0)).float()
    found = (x.gather(1, highest[1]) == y).float()
    return [m[marks].mean() for m in (losses, right, back, found)] + [losses[~marks].mean(), right[:, -32:].mean()]


seconds = []
for _ in range(7):
    begin = time.perf_counter()
    evaluate()
    seconds.append(time.perf_counter() - begin)
print(f"basic evaluation batch={B} seq={T} dim={D} seconds={sorted(seconds[2:])[2]:.4f}")
