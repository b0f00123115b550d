"""Depth and width pruning of a small decoder over several seeds, and of MiniLM: scores against the truth, and cuts.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/transformers.py`. A seed draws the
sentences that are held out, the weights that training starts from and its batches; `minilm` as an argument does that
network alone. Twenty minutes of one core.
"""

import sys
from collections.abc import Iterator, Mapping
from itertools import product
from statistics import fmean

import numpy as np
from figures import over_seeds, row
from scipy.stats import spearmanr

from workloads import tasks
from workloads.blas import one_thread
from workloads.networks import cut, language
from workloads.networks.decoder import Decoder
from workloads.networks.sentences import sentences
from workloads.recipes import structure
from workloads.recipes.cuts import Depth, Width
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Tune

SEEDS, N_HELD_OUT = range(3), 250
N_SAMPLES = 256  # to score by: 8,192 tokens, as a recipe takes
N_JUDGED = 128  # samples on which the loss without one part alone is taken
N_NEURONS = 6  # of each block, drawn, that are taken alone
N_CHANCES = 12  # draws of what goes by chance
BLOCKS, WIDTHS = (7, 6, 4), (("ffn", 96), ("ffn", 64), ("heads", 4), ("hidden", 56), ("hidden", 48))
OF_DEPTH = ("influence", "perplexity", "taylor", "taylor+", "sleb", "magnitude", "random")
HEALING = Tune(epochs=1, learning_rate=1e-3, batch=16, schedule="cosine", held_out=0)


def main():
    if "minilm" not in sys.argv[1:]:
        print(f"docstrings-decoder, {len(SEEDS)} seeds; perplexity on {N_HELD_OUT} sentences that are held out")
        values = over_seeds(decoder, SEEDS)
        targets = {
            "perplexity": {"at_most": 25},
            "rank correlation: blocks by perplexity": {"at_least": 0.9},
            "rank correlation: blocks by taylor": {"at_least": 0.7},
            "rank correlation: blocks by influence": {"at_least": 0.4},
        }
        for name, of_seeds in values.items():
            row(name, of_seeds, **targets.get(name, {}))
        # What scores and least squares must win by, in the same run on the same sentences: more than nothing.
        for criterion, n in product(("influence", "perplexity", "sleb"), BLOCKS):
            gain(values, f"{n} blocks by random", f"{n} blocks by {criterion}")
            gain(values, f"{n} blocks by magnitude", f"{n} blocks by {criterion}")
        for key, n in WIDTHS:
            gain(values, f"{key} {n} by random", f"{key} {n} by activation")
            gain(values, f"{key} {n} by activation", f"{key} {n} by activation, least squares")
    print("MiniLM: cosine to the dense embedding on 128 sentences; 192 others to score by")
    for name, value in minilm():
        row(name, [value])


def gain(values: Mapping[str, list[float]], worse: str, better: str):
    """Print by how many times the perplexity of one is that of the other; assert that the mean is above 1."""
    row(f"{worse} / {better}"[:60], [a / b for a, b in zip(values[worse], values[better], strict=True)], at_least=1)


@one_thread()
def decoder(seed: int) -> dict[str, float]:
    """Return the figures of a decoder that is trained with a seed."""
    own, others = language.corpus(sentences(), N_HELD_OUT, seed)
    dense = language.decoder(own, seed)
    figures = {"perplexity": dense.perplexity(others)}
    figures |= dict(correlations(dense, own[:N_SAMPLES], others[:N_JUDGED], seed))

    def cut_by(step, *more):
        return Recipe(steps=[step, *more], seed=seed).fit(dense, own).apply().perplexity(others)

    def by_chance(make):
        some = (Recipe(steps=[make], seed=place).fit(dense, own).apply() for place in range(N_CHANCES))
        return fmean(network.perplexity(others) for network in some)

    for n, criterion in product(BLOCKS, OF_DEPTH):
        if n >= max(1, len(structure.protected(dense.layers, criterion))):
            step = Depth(blocks=n, criterion=criterion)
            figures[f"{n} blocks by {criterion}"] = by_chance(step) if criterion == "random" else cut_by(step)
    for (key, n), criterion in product(WIDTHS, structure.OF_WIDTH):
        step = Width(**{key: n}, criterion=criterion, reconstruct=False)
        figures[f"{key} {n} by {criterion}"] = by_chance(step) if criterion == "random" else cut_by(step)
    figures |= {f"{key} {n} by activation, least squares": cut_by(Width(**{key: n})) for key, n in WIDTHS}
    figures["6 blocks by sleb, tuned"] = cut_by(Depth(blocks=6, criterion="sleb"), HEALING)
    figures["ffn 64 by activation, least squares, tuned"] = cut_by(Width(ffn=64), HEALING)
    figures["hidden 48 by activation, least squares, tuned"] = cut_by(Width(hidden=48), HEALING)
    figures["the dense one, tuned as long"] = Recipe(steps=[HEALING]).fit(dense, own).apply().perplexity(others)
    return figures


def correlations(dense: Decoder, seen: np.ndarray, others: np.ndarray, seed: int) -> Iterator[tuple[str, float]]:
    """Yield the rank correlation of each score with the rise of the loss on others when that one alone goes."""
    rng = np.random.default_rng(seed)
    rises = [dense.without([layer]).loss(others) for layer in dense.layers]
    for criterion in ("influence", "perplexity", "taylor", "magnitude", "random"):
        scores = structure.block_scores(dense, seen, criterion, seed)
        yield f"rank correlation: blocks by {criterion}", float(spearmanr([*scores.values()], rises)[0])
    places = {
        "heads": [*product(dense.layers, range(dense.n_heads))],
        "ffn": [(layer, place) for layer in dense.layers for place in rng.permutation(dense.n_neurons)[:N_NEURONS]],
        "hidden": [*product((0,), range(dense.width))],
    }
    for part, pairs in places.items():
        rises = [cut.without_one(dense, part, *pair).loss(others) for pair in pairs]
        for criterion in structure.OF_WIDTH:
            scores = structure.SCORES[part](dense, seen, criterion, seed)
            of_pairs = [scores[place] if part == "hidden" else scores[layer][place] for layer, place in pairs]
            yield f"rank correlation: {part} by {criterion}", float(spearmanr(of_pairs, rises)[0])


def minilm() -> Iterator[tuple[str, float]]:
    """Yield the figures of MiniLM, of seed 0."""
    task = tasks.load("minilm")
    steps = {
        f"{n} blocks by {criterion}": Depth(blocks=n, criterion=criterion)
        for n, criterion in product((5, 4), ("influence", "perplexity", "sleb", "magnitude", "random"))
    }
    for key, n in (("ffn", 1152), ("ffn", 768), ("heads", 9), ("hidden", 320)):
        for criterion in structure.OF_WIDTH:
            steps[f"{key} {n} by {criterion}"] = Width(**{key: n}, criterion=criterion, reconstruct=False)
        steps[f"{key} {n} by activation, least squares"] = Width(**{key: n})
    for name, step in steps.items():
        yield name, task.quality(task.fit(Recipe(steps=[step])).apply())


if __name__ == "__main__":
    main()
