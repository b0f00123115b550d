"""LeNet-300-100 on Fashion-MNIST, trained, pruned and shared: the shipped networks and the recipe that made them."""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.files import write_arrays
from workloads.networks.data import as_inputs, fashion_mnist
from workloads.networks.train import Recipe, initialise, train, tune_centroids
from workloads.pruning.prune import prune
from workloads.quantisation.share import bias_codes, share
from workloads.records import Layer, Network, Workload, with_activations

FILE = "lenet_300_100_fashion_mnist.npz"
N_SHIPPED_OF_A_CLASS = 100  # the first test images of each class
N_TRAINING_OF_A_CLASS = 200  # and the first training images, to calibrate and tune on

IMAGES_SHIPPED = (
    f"images: the first {N_SHIPPED_OF_A_CLASS} of each class in the test set, and to calibrate and tune on "
    f"the first {N_TRAINING_OF_A_CLASS} of each class in the training set"
)

WIDTHS = (784, 300, 100, 10)
# Deep Compression, table 2: the share of weights that ip1, ip2 and ip3 keep.
DENSITIES = (0.08, 0.09, 0.26)
# The way there: in each pruning step every layer keeps at least this share.
STEPS = (0.5, 0.3, 0.2, 0.14, 0.1, 0.0)
N_HELD_OUT = 5000  # the last training images: settings, and which of SEEDS, were chosen on them
SEEDS = (2, 3, 4, 5, 6)
# The penalty is what keeps hidden activations sparse.
DENSE = Recipe(n_epochs=20, learning_rate=1e-3, batch=128, l2=5e-5, activation_l1=3e-4, seed=1)
STEP = Recipe(n_epochs=5, learning_rate=1e-3, l2=5e-5, activation_l1=3e-4)
LAST_STEP = replace(STEP, n_epochs=15)
CENTROIDS = Recipe(n_epochs=3, learning_rate=1e-4, activation_l1=3e-4)


def dense() -> Network:
    """Return the trained dense network: Layers ip1, ip2, ip3, and 100 test images of each class as f32[1000, 784]."""
    stored = _stored()
    layers = tuple(
        Layer(name=name, weights=stored[f"{name}_weights"], bias=stored[f"{name}_bias"], relu=name != "ip3")
        for name in ("ip1", "ip2", "ip3")
    )
    return _network("lenet-300-100-dense", layers)


def calibration() -> tuple[np.ndarray, np.ndarray]:
    """Return 200 training images of each class as f32[2000, 784], with labels i64; the networks learnt from them."""
    stored = _stored()
    return as_inputs(stored["train_images"]), stored["train_labels"].astype(np.int64)


def compressed() -> Network:
    """Return the pruned and shared network: Workloads ip1, ip2, ip3 with what reaches them for the 1,000 images."""
    stored, layers = _stored(), []
    for name in ("ip1", "ip2", "ip3"):
        book = stored[f"{name}_codebook"]
        shape = stored[f"{name}_weights"].shape
        codes = unpack_nibbles(stored[f"{name}_codes"])[: shape[0] * shape[1]].reshape(shape)
        layers.append(
            Workload(
                name=name,
                weights=book[codes],
                bias=book[stored[f"{name}_bias_codes"]],
                relu=name != "ip3",
                activations=np.zeros(shape[1], np.float32),
                codes=codes,
                codebook=book,
                provenance=str(stored["provenance"]),
            )
        )
    return with_activations(_network("lenet-300-100", tuple(layers)))


def learn(images: np.ndarray, labels: np.ndarray) -> tuple[Network, Network, Network]:
    """Return the dense, pruned and shared networks that the recipe makes of images f32[n, 784] and labels u8[n].

    The last 5,000 are held out; of the networks pruned with each of SEEDS the one that is right most often on them is
    kept.
    """
    seen, held = slice(None, -N_HELD_OUT), slice(-N_HELD_OUT, None)
    start = initialise("lenet-300-100", WIDTHS, images[seen], labels[seen], DENSE.seed)
    trained = train(start, DENSE)
    # What ships as f16 is also what is pruned and measured.
    rounded = [replace(layer, weights=layer.weights.astype(np.float16)) for layer in trained.layers]
    trained = replace(trained, layers=tuple(rounded))
    compressed = [prune_and_share(trained, seed) for seed in SEEDS]

    def right(networks: tuple[Network, Network]) -> float:
        return replace(networks[1], inputs=images[held], labels=labels[held]).accuracy()

    return trained, *max(compressed, key=right)


def prune_and_share(trained: Network, seed: int) -> tuple[Network, Network]:
    """Return the network pruned step by step to DENSITIES, and that network shared at 4 bits with tuned centroids."""
    net = trained
    for least in STEPS:
        goals = [max(density, least) for density in DENSITIES]
        net = replace(net, layers=tuple(prune(layer, goal) for layer, goal in zip(net.layers, goals, strict=True)))
        net = train(net, replace(STEP if least else LAST_STEP, seed=seed))
    shared = with_activations(net)
    shared = replace(shared, layers=tuple(share(layer, bits=4) for layer in shared.layers))
    return net, tune_centroids(shared, replace(CENTROIDS, seed=seed))


def first_of_each_class(labels: np.ndarray, n: int) -> np.ndarray:
    """Return where the first n of each label stand, ascending, i64[n * classes]."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:n] for label in np.unique(labels)]))


def pack_nibbles(codes: np.ndarray) -> np.ndarray:
    """Return u8[ceil(n / 2)]: 4-bit codes u8[n], the earlier of two in the low half."""
    codes = np.append(codes, np.zeros(codes.size % 2, np.uint8))
    return codes[::2] | codes[1::2] << 4


def unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """Return u8[2 n]: what `pack_nibbles` packed into u8[n], with a 0 at the end where the count was odd."""
    return np.column_stack([packed & 15, packed >> 4]).ravel()


def main(argv: Iterable[str] | None = None) -> int:
    """Train, prune, share and write the file; bad input gives one line on standard error and 2."""
    parser = argparse.ArgumentParser(prog="python -m workloads.networks.lenet", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path(FILE), metavar="FILE", help="what to write (default: %(default)s)"
    )
    out = parser.parse_args(argv).out
    try:
        if not out.parent.is_dir():
            raise BadInput(f"--out must lie in a directory that exists, got {out}")
        images, labels = fashion_mnist("train")
        test_images, test_labels = fashion_mnist("test")
        shipped = shipped_images()
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    networks = learn(images, labels)
    test = [replace(network, inputs=test_images, labels=test_labels) for network in networks]
    kinds = zip(("dense", "pruned", "shared"), test, strict=True)
    accuracies = ", ".join(f"{kind} {100 * network.accuracy():.2f}%" for kind, network in kinds)
    provenance = (
        f"LeNet-300-100 on Fashion-MNIST (Zalando SE, MIT), the first 55,000 training images, inputs = pixels / 255; "
        f"settings and the best of {len(SEEDS)} prunings (seeds {SEEDS[0]} to {SEEDS[-1]}) chosen on the other 5,000; "
        f"dense {_words(DENSE)}, seed {DENSE.seed}; pruned by magnitude in {len(STEPS)} steps to {DENSITIES}, "
        f"each tuned with {_words(STEP)}, the last for {LAST_STEP.n_epochs} epochs; "
        f"4-bit exact k-means over weights and bias; centroids tuned with {_words(CENTROIDS)}; "
        f"accuracy on the 10,000 test images: {accuracies}; "
        f"{IMAGES_SHIPPED}; numpy {np.__version__}"
    )
    write_arrays(out, shipped | {"provenance": np.array(provenance)} | _arrays(networks[0], networks[2]))
    print(f"{out}: {out.stat().st_size} bytes; {accuracies}")
    return 0


def shipped_images() -> dict[str, np.ndarray]:
    """Return the images that ship, u8[n, 784], and their labels u8[n]: of the test set, and of the training set.

    Raises BadInput as `fashion_mnist` does.
    """
    arrays = {}
    for split, prefix, n in (("test", "", N_SHIPPED_OF_A_CLASS), ("train", "train_", N_TRAINING_OF_A_CLASS)):
        images, labels = fashion_mnist(split)
        places = first_of_each_class(labels, n)
        pixels = np.rint(255 * images[places]).astype(np.uint8)
        arrays |= {f"{prefix}images": pixels, f"{prefix}labels": labels[places]}
    return arrays


def _arrays(trained: Network, shared: Network) -> dict[str, np.ndarray]:
    """Return the arrays of the file that hold the networks."""
    arrays = {}
    for before, after in zip(trained.layers, shared.layers, strict=True):
        arrays |= {
            f"{before.name}_weights": before.weights.astype(np.float16),
            f"{before.name}_bias": before.bias,
            f"{before.name}_codes": pack_nibbles(after.codes.ravel()),
            f"{before.name}_codebook": after.codebook,
            f"{before.name}_bias_codes": bias_codes(after),
        }
    return arrays


def _stored() -> dict[str, np.ndarray]:
    """Return the arrays of the shipped file, the caller's own."""
    return {name: array.copy() for name, array in _once_read().items()}


@cache
def _once_read() -> dict[str, np.ndarray]:
    with (resources.files("workloads") / "data" / FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def _network(name: str, layers: tuple[Layer, ...]) -> Network:
    stored = _stored()
    return Network(
        name=name,
        layers=layers,
        inputs=as_inputs(stored["images"]),
        labels=stored["labels"],
        provenance=str(stored["provenance"]),
    )


def _words(recipe: Recipe) -> str:
    return (
        f"Adam {recipe.learning_rate:g} cosine, {recipe.n_epochs} epochs, batch {recipe.batch}, l2 {recipe.l2:g}, "
        f"activation l1 {recipe.activation_l1:g}"
    )


if __name__ == "__main__":
    sys.exit(main())
