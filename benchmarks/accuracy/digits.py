"""Accuracy on the digits: dense, pruned by steps, with 4-bit weights, and 2:4, of a fully connected and a conv net.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/digits.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from figures import over_seeds, pruned, pruned_by_steps, row, shared

from workloads.networks import nets
from workloads.networks.data import digits
from workloads.networks.sequential import Sequential
from workloads.networks.train import Recipe, fit

N_HELD_OUT = 360  # one of them is 0.28 points
STEPS = (0.5, 0.3, 0.2, 0.14)
STEP = Recipe(n_epochs=4, learning_rate=3e-3, batch=64, l2=1e-5)
CENTROIDS = Recipe(n_epochs=2, learning_rate=3e-4, batch=64)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, the shape of its input, and the share that each matrix keeps."""

    make: Callable[..., Sequential]
    shape: tuple[int, ...]
    goals: Mapping[str, float]
    n_seeds: int
    n_last_epochs: int
    targets: Mapping[str, Mapping[str, float]]


CASES = {
    "64-256-128-10": Case(
        make=nets.digits_mlp,
        shape=(64,),
        goals={"ip1": 0.1, "ip2": 0.1, "ip3": 0.1},
        n_seeds=5,
        n_last_epochs=12,
        targets={"dense": {"at_least": 98.5}, "CPU s": {"at_most": 10}},
    ),
    # Convolutions bear less: Deep Compression keeps 66% of LeNet-5's first one.
    "conv 16, conv 32, 10": Case(
        make=nets.digits_convnet,
        shape=(1, 8, 8),
        goals={"conv1": 0.66, "conv2": 0.3, "ip": 0.3},
        n_seeds=3,
        n_last_epochs=6,
        targets={"dense": {"at_least": 98.5}},
    ),
}


def run(case: Case, seed: int) -> dict[str, float]:
    """Return the accuracies, in percent, of what one seed gives."""
    images, labels = digits()
    inputs, labels, others, wanted = nets.split(images.reshape(-1, 1, 8, 8), labels, N_HELD_OUT, seed)
    inputs, labels = nets.with_shifts(inputs, labels)
    inputs, others = inputs.reshape(-1, *case.shape), others.reshape(-1, *case.shape)
    step, centroids = replace(STEP, seed=seed), replace(CENTROIDS, seed=seed)
    last = replace(step, n_epochs=case.n_last_epochs)

    dense = case.make(inputs, labels, seed)
    sparse = pruned_by_steps(dense, inputs, labels, case.goals, STEPS, step, last)
    # A kernel of 3 x 3 of one channel has 9 inputs, which are no whole number of groups of 4: it stays dense.
    fitting = {name: 0.5 for name, matrix in dense.matrices.items() if matrix.shape[1] % 4 == 0}
    two_of_four = pruned(dense, fitting, pattern="2:4")
    networks = {
        "dense": dense,
        "pruned at once, not tuned": pruned(dense, case.goals),
        "pruned by steps": sparse,
        "pruned by steps, 4-bit": shared(sparse, inputs, labels, centroids),
        "2:4, not tuned": two_of_four,
        "2:4": fit(two_of_four, inputs, labels, last),
    }
    return {name: 100 * net.accuracy(others, wanted) for name, net in networks.items()}


def main():
    digits()  # fetched before the clock starts
    for title, case in CASES.items():
        figures = over_seeds(lambda seed, case=case: run(case, seed), range(case.n_seeds))
        shares = ", ".join(f"{name} {share:.0%}" for name, share in case.goals.items())
        print(f"\n{title}: accuracy in percent on {N_HELD_OUT} digits held out, {case.n_seeds} seeds; kept: {shares}")
        dense = sum(figures["dense"]) / case.n_seeds
        targets = {"pruned by steps, 4-bit": {"at_least": dense - 1.5}, "2:4": {"at_least": dense - 1}, **case.targets}
        for name, values in figures.items():
            row(name, values, **targets.get(name, {}))


if __name__ == "__main__":
    main()
