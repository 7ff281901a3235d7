"""The bigram task with triggers, drawn by the real NumPy: section 1 of the specification of the paper's two programs."""

import json
import pathlib

import numpy as np

COUNTS = pathlib.Path(__file__).parents[3] / "src" / "data" / "tiny_shakespeare_counts.json"


class Bigrams:
    """`marginal[i] = P(i)` and `cond[i][j] = P(j | i)` of the built-in counts, or of a text."""

    def __init__(self, text=None):
        if text is None:
            counts = json.loads(COUNTS.read_text())
            unigrams, bigrams = np.array(counts["unigrams"]), np.array(counts["bigrams"])
        else:
            characters = sorted(set(text))
            place = {character: i for i, character in enumerate(characters)}
            tokens = [place[character] for character in text]
            unigrams = np.bincount(tokens, minlength=len(characters))
            bigrams = np.zeros((len(characters), len(characters)), dtype=np.int64)
            np.add.at(bigrams, (tokens[:-1], tokens[1:]), 1)
        self.marginal = unigrams / unigrams.sum()
        self.cond = bigrams / bigrams.sum(axis=1, keepdims=True)
        self.vocab = len(unigrams)


def sequence(rng, bigrams, flags, bigram_outs):
    """One sequence: its tokens, one more than the model sees, and their marks."""
    k, length, vocab = flags["k"], flags["seq_length"], bigrams.vocab
    if flags["fixed_special_toks"]:
        end = vocab - flags["special_toks_offset"]
        triggers = np.argsort(bigrams.marginal, kind="stable")[end - k : end]
    else:
        triggers = rng.choice(vocab, size=k, replace=False, p=bigrams.marginal)
    outputs = {}
    for trigger in triggers:
        pool = np.array([token for token in range(vocab) if not (flags["no_repeat"] and token == trigger)])
        if bigram_outs:
            p = bigrams.cond[trigger][pool]
            outputs[trigger] = rng.choice(pool, p=p / p.sum())
        else:
            outputs[trigger] = rng.choice(pool)
    tokens, marks = [], []
    if flags["show_latents"]:
        tokens, marks = list(triggers), [-1] * k
    tokens.append(rng.choice(vocab, p=bigrams.marginal))
    seen = dict.fromkeys(outputs, 0)
    while len(tokens) < length + 1:
        last = tokens[-1]
        if last in outputs:
            seen[last] = seen[last] + 1 if flags["output_counter"] else 1
            marks.append(seen[last])
            tokens.append(outputs[last])
        else:
            marks.append(0)
            tokens.append(rng.choice(vocab, p=bigrams.cond[last]))
    return tokens[: length + 1], marks[:length]


def batches(bigrams, flags, bigram_outs, batch, seed, workers, steps):
    """The batches of a run: workers in turn, each with a stream of its own."""
    streams = [np.random.default_rng([seed, worker]) for worker in range(workers)]
    for step in range(steps):
        drawn = [sequence(streams[step % workers], bigrams, flags, bigram_outs) for _ in range(batch)]
        tokens = np.array([tokens for tokens, _ in drawn], dtype=np.int64)
        yield tokens[:, :-1], tokens[:, 1:], np.array([marks for _, marks in drawn], dtype=np.int64)
