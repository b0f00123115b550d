"""Accuracy of a real transformer after one-shot compression: MiniLM, SparseGPT, Wanda, magnitude, GPTQ, rounding.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/minilm.py`. A seed draws the sentences.
"""

import time

import numpy as np
from figures import row

from workloads.networks.data import fetch
from workloads.networks.sentences import sentences
from workloads.networks.transformer import Encoder
from workloads.networks.wordpiece import tokenise, vocabulary
from workloads.pruning.obs import gptq, hessian, sparsegpt
from workloads.pruning.patterns import mask
from workloads.pruning.scores import magnitude, wanda
from workloads.quantisation.quantise import awq, round_to_nearest
from workloads.readers import read

SEEDS = range(3)
N_CALIBRATION, N_TEST = 192, 128
# Similarities that the model's authors publish: sbert.net, Quickstart.
PUBLISHED = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
SIMILARITIES = ((1.0, 0.6660, 0.1046), (0.6660, 1.0, 0.1411), (0.1046, 0.1411, 1.0))

# Each takes weights f32[out, in] and what reaches them f32[tokens, in]. W4: 4-bit weights, RTN: rounded to nearest.
METHODS = {
    "2:4 magnitude": lambda w, x: w * mask(magnitude(w), "2:4"),
    "2:4 Wanda": lambda w, x: w * mask(wanda(w, x), "2:4"),
    "2:4 SparseGPT": lambda w, x: sparsegpt(w, hessian(x), n_m=(2, 4)),
    "50% magnitude": lambda w, x: w * mask(magnitude(w), "element", 0.5),
    "50% Wanda": lambda w, x: w * mask(wanda(w, x), "element", 0.5, within="row"),
    "50% SparseGPT": lambda w, x: sparsegpt(w, hessian(x), density=0.5),
    "W4 channel RTN": lambda w, x: round_to_nearest(w, 4).weights,
    "W4 channel GPTQ": lambda w, x: gptq(w, hessian(x), bits=4).weights,
    "W4 g64 RTN": lambda w, x: round_to_nearest(w, 4, 64).weights,
    "W4 g64 AWQ": lambda w, x: awq(w, x, 4, 64).weights,
}


def main():
    place = fetch("minilm")
    pieces = vocabulary((place / "vocab.txt").read_text(encoding="utf-8"))
    dense = Encoder(read(place / "model.safetensors"))
    embeddings = dense.embed([tokenise(sentence, pieces) for sentence in PUBLISHED])
    assert np.allclose(embeddings @ embeddings.T, SIMILARITIES, atol=1e-4)

    everything, figures = [tokenise(sentence, pieces) for sentence in sentences()], {}
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(everything))[: N_CALIBRATION + N_TEST]
        drawn = [everything[i] for i in order]
        reaching, wanted = dense.inputs(drawn[:N_CALIBRATION]), dense.embed(drawn[N_CALIBRATION:])
        for name, method in METHODS.items():
            start = time.process_time()
            changes = {matrix: method(weights, reaching[matrix]) for matrix, weights in dense.matrices.items()}
            seconds = time.process_time() - start
            cosine = (dense.with_matrices(changes).embed(drawn[N_CALIBRATION:]) * wanted).sum(axis=1).mean()
            figures.setdefault(name, []).append(float(cosine))
            figures.setdefault(f"{name}: CPU s", []).append(seconds)

    print(f"MiniLM: cosine to the dense embedding, mean of {N_TEST} sentences, {len(SEEDS)} seeds, nothing tuned")
    for name, values in figures.items():
        row(name, values)
    # What the methods must win by, in the same run on the same sentences.
    for better, worse, least in (
        ("2:4 SparseGPT", "2:4 Wanda", 0.1),
        ("2:4 Wanda", "2:4 magnitude", 0.1),
        ("50% SparseGPT", "50% Wanda", 0.0),
        ("W4 channel GPTQ", "W4 channel RTN", 0.03),
        ("W4 g64 AWQ", "W4 g64 RTN", 0.0),
    ):
        gains = [a - b for a, b in zip(figures[better], figures[worse], strict=True)]
        row(f"{better} over {worse}", gains, at_least=least)


if __name__ == "__main__":
    main()
