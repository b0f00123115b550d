"""Small encoders and decoders to test on: drawn ones, and three decoders that learnt from the docstrings."""

from functools import cache

import numpy as np

from workloads.networks import bytepair, language, train
from workloads.networks.decoder import Decoder, untrained
from workloads.networks.sentences import sentences
from workloads.networks.transformer import Encoder

SEEDS = range(3)
N_HELD_OUT, N_MERGES = 250, 128


def drawn_decoder(dtype=np.float32, biases=False, seed=0, n_kv_heads=2) -> Decoder:
    """Return a decoder of 3 blocks, 8 wide, 4 heads of 4 values in 2 groups, 6 neurons, 11 words; large weights."""
    shape = untrained(11, 8, 3, 4, n_kv_heads, 4, 6, seed)
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(size=array.shape, scale=0.5) for name, array in shape.arrays.items()}
    if biases:
        arrays |= {f"{name}.bias": rng.normal(size=len(matrix)) for name, matrix in shape.matrices.items()}
    return Decoder({name: array.astype(dtype) for name, array in arrays.items()}, 4, n_kv_heads)


def drawn_samples(seed=1) -> np.ndarray:
    """Return i64[5, 7]: tokens for `drawn_decoder`."""
    return np.random.default_rng(seed).integers(0, 11, (5, 7))


def drawn_encoder(seed=6) -> Encoder:
    """Return an encoder of 3 blocks, 8 wide, 2 heads, 12 neurons, 20 words and 10 places."""
    rng = np.random.default_rng(seed)
    sides = {"intermediate.dense": (12, 8), "output.dense": (8, 12)}
    sizes = {"word": 20, "position": 10, "token_type": 2}
    arrays = {f"embeddings.{kind}_embeddings.weight": rng.normal(size=(n, 8)) for kind, n in sizes.items()}
    norms = [f"encoder.layer.{i}.{part}.LayerNorm" for i in range(3) for part in ("attention.output", "output")]
    for name in ("embeddings.LayerNorm", *norms):
        arrays |= {f"{name}.weight": rng.normal(size=8), f"{name}.bias": rng.normal(size=8)}
    for name in (f"encoder.layer.{i}.{part}" for i in range(3) for part in Encoder.parts()):
        n_out, n_in = sides.get(name.split(".", 3)[3], (8, 8))
        arrays |= {f"{name}.weight": rng.normal(size=(n_out, n_in)), f"{name}.bias": rng.normal(size=n_out)}
    return Encoder({name: array.astype(np.float32) for name, array in arrays.items()}, n_heads=2)


def drawn_sentences(seed=2) -> list[np.ndarray]:
    """Return 12 sentences of 3 to 9 tokens for `drawn_encoder`."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 20, n) for n in rng.integers(3, 10, 12)]


@cache
def trained_decoder(seed: int) -> tuple[Decoder, np.ndarray, np.ndarray]:
    """Return a decoder of 6 blocks, 32 wide, after one epoch, samples that it has seen, and others."""
    seen, held_out = language.corpus(sentences(), N_HELD_OUT, seed, N_MERGES)
    start = untrained(bytepair.N_BYTES + N_MERGES, 32, 6, 4, 2, 8, 64, seed)
    recipe = train.Recipe(n_epochs=1, learning_rate=1e-2, batch=16, seed=seed)
    return language.fit(start, seen, recipe), seen, held_out
