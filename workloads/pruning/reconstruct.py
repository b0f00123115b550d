"""Removing input channels: which go (LASSO, ThiNet), and new weights for those that stay (least squares)."""

import numpy as np
from scipy.linalg import lstsq

from workloads.errors import BadInput
from workloads.pruning.ranks import largest
from workloads.records import checked_array

# Singular values below this share of the largest carry no information in f32 inputs.
RANK_TOLERANCE = 1e-6
# A pass over the channels that moves no coefficient by more than this share of the largest ends the descent.
DESCENT_TOLERANCE = 1e-4
N_PASSES = 1000  # of the descent at most
N_HALVINGS = 40  # of the interval in which the penalty is looked for: beyond, coefficients tie


def least_squares(
    inputs: np.ndarray, targets: np.ndarray, kept: np.ndarray, *, start: np.ndarray | None = None, kernel: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights f32[out, in] and bias f32[out] that give the targets best from the kept channels alone.

    inputs: f32[samples, in], as they reach the layer now; targets: f32[samples, out], what the dense layer gave before
    its ReLU; kept: bool[in / kernel]; kernel: columns per channel. Columns of the others are 0, and the bias takes what
    is constant in them. start: f32[out, in], the weights so far: where the samples leave a choice, the solution nearest
    to them (nearest to 0 without). Raises BadInput.
    """
    inputs, targets = _checked(inputs, targets, kernel)
    columns = np.repeat(_checked_kept(kept, inputs.shape[1] // kernel), kernel)
    shape = (targets.shape[1], inputs.shape[1])
    start = np.zeros(shape) if start is None else _checked_weights(start, shape) * columns
    mean_inputs, mean_targets = inputs.mean(axis=0), targets.mean(axis=0)
    inputs, rest = inputs - mean_inputs, targets - mean_targets
    weights = start.astype(np.float64)
    if columns.any():
        rest -= inputs @ start.T
        change = lstsq(inputs[:, columns], rest, cond=RANK_TOLERANCE, lapack_driver="gelsy", check_finite=False)[0]
        weights[:, columns] += change.T
    bias = mean_targets - weights @ mean_inputs
    return checked_array("moved weights", weights, (2,)), checked_array("moved bias", bias, (1,))


def lasso_channels(
    weights: np.ndarray, inputs: np.ndarray, n_kept: int, *, targets: np.ndarray | None = None, kernel: int = 1
) -> np.ndarray:
    """Return bool[in / kernel]: the n_kept channels that a LASSO over one coefficient per channel leaves.

    Minimises ||Y - sum_i beta_i X_i W_i^T||^2 / 2 + penalty * sum |beta_i| with the penalty raised until no more than
    n_kept coefficients are left; constants are left to the bias. weights: f32[out, in]; inputs: f32[samples, in];
    targets: f32[samples, out], by default what weights and inputs give; kernel: columns per channel. Raises BadInput.
    Source: He, Zhang and Sun 2017.
    """
    weights, inputs, n_kept = _checked_channels(weights, inputs, n_kept, kernel)
    gram = _contributions(weights, inputs, kernel)
    if targets is None:
        products = gram.sum(axis=1)
    else:
        inputs, targets = _checked(inputs, targets, kernel)
        _checked_weights(weights, (targets.shape[1], inputs.shape[1]))
        by_column = ((targets - targets.mean(axis=0)) @ weights) * (inputs - inputs.mean(axis=0))
        products = by_column.sum(axis=0).reshape(-1, kernel).sum(axis=1)
    high = np.abs(products).max()  # from here on no coefficient is left
    low, beta = 0.0, np.zeros(len(gram))
    left = lasso(gram, products, low, np.ones(len(gram)))
    if np.count_nonzero(left) > n_kept:
        for _ in range(N_HALVINGS):
            penalty = (low + high) / 2
            coefficients = lasso(gram, products, penalty, left)
            if np.count_nonzero(coefficients) > n_kept:
                low, left = penalty, coefficients
            else:
                high, beta = penalty, coefficients
            if np.count_nonzero(coefficients) == n_kept:
                break
    # Coefficients that leave together go by size just before they leave; those left at the end come before them.
    scores = np.where(beta != 0, np.inf, np.abs(left))
    return largest(scores[None], n_kept)[0]


def lasso(gram: np.ndarray, products: np.ndarray, penalty: float, start: np.ndarray) -> np.ndarray:
    """Return the coefficients b, f64[n], of least b^T G b / 2 - p^T b + penalty * sum |b|, by coordinate descent.

    gram: f64[n, n], G, positive semi-definite; products: f64[n], p; start: f64[n].
    """
    beta, curvature = start.copy(), np.diag(gram)
    beta[curvature <= 0] = 0
    residual = products - gram @ beta
    candidates = np.flatnonzero(curvature > 0)
    places = candidates
    for _ in range(N_PASSES):
        largest_move = 0.0
        for i in places.tolist():
            old = beta[i]
            pull = residual[i] + curvature[i] * old
            new = max(abs(pull) - penalty, 0.0) * (1.0 if pull > 0 else -1.0) / curvature[i]
            if new != old:
                residual -= (new - old) * gram[i]
                beta[i] = new
                largest_move = max(largest_move, abs(new - old))
        if largest_move <= DESCENT_TOLERANCE * np.abs(beta).max():
            if places is candidates:
                break
            places = candidates  # at rest among those left: does any other want to come back?
        else:
            places = np.flatnonzero(beta)
    return beta


def thinet_channels(weights: np.ndarray, inputs: np.ndarray, n_kept: int, *, kernel: int = 1) -> np.ndarray:
    """Return bool[in / kernel]: the n_kept channels left when those that matter least together go one by one.

    Each time the channel goes with which the summed contribution of all that are gone has the least square; constants
    are left to the bias. Arguments: see `lasso_channels`. Raises BadInput. Source: ThiNet, Luo et al. 2017, part 3.2.
    """
    weights, inputs, n_kept = _checked_channels(weights, inputs, n_kept, kernel)
    gram = _contributions(weights, inputs, kernel)
    cost, channels = np.diag(gram).copy(), np.ones(len(gram), bool)
    for _ in range(len(gram) - n_kept):
        goes = int(np.where(channels, cost, np.inf).argmin())
        channels[goes] = False
        cost += 2 * gram[goes]
    return channels


def _contributions(weights: np.ndarray, inputs: np.ndarray, kernel: int) -> np.ndarray:
    """Return f64[channels, channels]: the inner products of what each channel alone adds to the outputs, less its mean.

    <X_i W_i^T, X_j W_j^T> is the sum over the columns of both channels of (X^T X) * (W^T W).
    """
    inputs, weights = (inputs - inputs.mean(axis=0, dtype=np.float64)), weights.astype(np.float64)
    products = (inputs.T @ inputs) * (weights.T @ weights)
    n = len(products) // kernel
    return products.reshape(n, kernel, n, kernel).sum(axis=(1, 3))


def _checked(inputs: np.ndarray, targets: np.ndarray, kernel: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both as f64. Raises BadInput unless each sample has a target and the kernel divides the inputs."""
    inputs, targets = checked_array("inputs", inputs, (2,)), checked_array("targets", targets, (2,))
    _checked_kernel(kernel, inputs.shape[1])
    if len(inputs) != len(targets):
        raise BadInput(f"targets must be f32[{len(inputs)}, out] for inputs {inputs.shape}, got {targets.shape}")
    return inputs.astype(np.float64), targets.astype(np.float64)


def _checked_channels(
    weights: np.ndarray, inputs: np.ndarray, n_kept: int, kernel: int
) -> tuple[np.ndarray, np.ndarray, int]:
    inputs = checked_array("inputs", inputs, (2,))
    n_channels = inputs.shape[1] // _checked_kernel(kernel, inputs.shape[1])
    weights = _checked_weights(weights, (len(np.atleast_1d(weights)), inputs.shape[1]))
    if isinstance(n_kept, bool) or n_kept not in range(1, n_channels + 1):
        raise BadInput(f"n_kept must be an integer from 1 to the {n_channels} channels, got {n_kept!r}")
    return weights, inputs, int(n_kept)


def _checked_weights(weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    weights = checked_array("weights", weights, (2,))
    if weights.shape != shape:
        raise BadInput(f"weights must be f32{list(shape)} for these inputs and targets, got {weights.shape}")
    return weights


def _checked_kept(kept: np.ndarray, n_channels: int) -> np.ndarray:
    kept = np.asarray(kept)
    if kept.dtype != bool or kept.shape != (n_channels,):
        raise BadInput(f"kept must be bool[{n_channels}], one per channel, got {kept.dtype}{list(kept.shape)}")
    return kept


def _checked_kernel(kernel: int, n_in: int) -> int:
    if isinstance(kernel, bool) or kernel not in range(1, n_in + 1) or n_in % kernel:
        raise BadInput(f"kernel must be an integer that divides the {n_in} inputs, got {kernel!r}")
    return int(kernel)
