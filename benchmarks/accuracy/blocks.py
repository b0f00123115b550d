"""A variant for each block of the small decoder by measured scores, against depth and width alike, on a card's time.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/blocks.py`. A seed draws the sentences
that are held out, the weights that training starts from and its batches. Perplexity on what is held out; the share is
of the whole decoder's simulated time. Ten minutes of one core.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from statistics import fmean

from cyclekit import machine
from cyclekit.budgets.blocks import choose
from cyclekit.serving.serve import Request, serve
from workloads.blas import one_thread
from workloads.networks import language
from workloads.networks.decoder import Decoder
from workloads.networks.sentences import sentences
from workloads.recipes import variants
from workloads.recipes.cuts import Depth, Width
from workloads.recipes.recipe import Recipe
from workloads.transformers.config import of_config
from workloads.transformers.shape import Transformer

SEEDS, N_HELD_OUT, BUDGET = range(2), 250, 0.7
N_SAMPLES = 256  # to score by: 8,192 tokens, as a recipe takes
HEALING = replace(language.TRAINING, n_epochs=1, learning_rate=1e-3)
NEURONS = range(120, 0, -8)
# What is timed: a step of one sequence as TensorRT-LLM runs it, and many prompts with nothing between the kernels.
TIMED = {
    "step": (Request(batch=1, input=32, output=2), lambda served: 1e3 * served.tpot_ms),
    "prompts": (
        Request(batch=4096, input=32, output=1, framework="ideal"),
        lambda served: 1e3 * served.ttft_ms,
    ),
}


def timed(what: str) -> Callable[[Transformer], float]:
    """Return what gives the microseconds of a model on an H100."""
    chosen, face = machine.serving(None)
    request, of = TIMED[what]
    return cache(lambda model: of(serve(model, chosen.name, face, chosen.presets["h100-sxm"], request)))


@one_thread()
def main():
    figures: Mapping[str, list[float]] = defaultdict(list)
    for seed in SEEDS:
        own, others = language.corpus(sentences(), N_HELD_OUT, seed)
        dense = language.decoder(own, seed)
        seen, shape = own[:N_SAMPLES], of_config(variants.config_of(dense), "docstrings-decoder")
        scores = defaultdict(dict)
        for block, field, size, loss in variants.scores(dense, seen):
            scores[block, field][size] = loss

        def told(name: str, network: Decoder, share: float, seed=seed, own=own, others=others):
            healed = language.fit(network, own, replace(HEALING, seed=seed))
            values = share, network.perplexity(others), healed.perplexity(others)
            figures[name].append(values)
            print(
                f"seed {seed}: {name:46} {share:.3f} of the time, {values[1]:9.2f}, tuned {values[2]:6.2f}", flush=True
            )

        told("whole", dense, 1.0)
        for what in TIMED:
            us = timed(what)
            budget = BUDGET * us(shape)
            best = choose(shape, scores, budget, us)
            sizes = {
                (layer, field): getattr(block, field)
                for layer, block in zip(dense.layers, best.model.blocks, strict=True)
                for field in ("n_kv_heads", "ffn")
            }
            print("   ", ", ".join(f"{block.n_kv_heads}/{block.ffn}" for block in best.model.blocks), flush=True)
            told(f"{what}: a variant for each block", variants.varied(dense, sizes, seen), best.us / us(shape))
            n = max(n for n in range(1, shape.n_layers) if us(replace(shape, n_layers=n)) <= budget)
            for criterion in ("perplexity", "sleb"):
                left = Recipe(steps=[Depth(blocks=n, criterion=criterion)], seed=seed).fit(dense, own).apply()
                told(f"{what}: {n} blocks by {criterion}", left, us(replace(shape, n_layers=n)) / us(shape))
            narrow = [n for n in NEURONS if us(replace(shape, ffn=n)) <= budget]
            if not narrow:
                least = us(replace(shape, ffn=NEURONS[-1])) / us(shape)
                print(f"    {what}: no width does, {NEURONS[-1]} neurons take {least:.3f}", flush=True)
                continue
            left = Recipe(steps=[Width(ffn=narrow[0])], seed=seed).fit(dense, own).apply()
            told(f"{what}: {narrow[0]} neurons", left, us(replace(shape, ffn=narrow[0])) / us(shape))
    for name, rows in figures.items():
        share, cut, tuned = (fmean(column) for column in zip(*rows, strict=True))
        print(f"{name:46} n {len(rows)}: {share:.3f} of the time, {cut:9.2f}, tuned {tuned:6.2f}")


if __name__ == "__main__":
    main()
