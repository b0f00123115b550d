"""Second-order compression: one sweep over a layer's inputs prunes (SparseGPT), rounds (GPTQ) or does both at once."""

from collections.abc import Callable, Sequence
from numbers import Real

import numpy as np
from scipy.linalg import LinAlgError, cholesky, lapack

from workloads.errors import BadInput
from workloads.pruning.ranks import checked_density, checked_n_m, largest
from workloads.quantisation.quantise import Quantised, grid_scales, group_size, largest_code
from workloads.records import checked_array, plain_array

# Inputs whose mask is chosen at once, and whose errors reach the later inputs at once; SparseGPT, part 3.4.
BLOCK = 128
DAMPING = 0.01  # of the mean diagonal; the default of the authors of SparseGPT and of GPTQ


def hessian(inputs: np.ndarray) -> np.ndarray:
    """Return f64[in, in], 2 X^T X: the Hessian, for each output, of the squared error of the layer's outputs.

    inputs: f32[samples, in]. The Hessians of batches add up to that of them all. Raises BadInput.
    """
    inputs = checked_array("inputs", inputs, (2,)).astype(np.float64)
    return 2 * (inputs.T @ inputs)


def by_groups(parts: Sequence[tuple], method: Callable[..., np.ndarray]) -> np.ndarray:
    """Return f32[out, in], what a method makes of the weights and the Hessian of each group, over each other.

    parts: (weights f32[out, in], inputs f32[samples, in], what else the method takes) of each group. Where inputs reach
    some groups only, the weights of the others become 0, as those on an input that was always 0. Raises BadInput.
    """
    reached = [bool(inputs.any()) for _, inputs, *_ in parts]
    if not any(reached):
        reached[0] = True  # the method says what is wrong
    return np.concatenate(
        [
            method(weights, hessian(inputs), *more) if is_reached else np.zeros_like(weights)
            for (weights, inputs, *more), is_reached in zip(parts, reached, strict=True)
        ]
    )


def sparsegpt(
    weights: np.ndarray,
    hessian: np.ndarray,
    *,
    density: float | None = None,
    n_m: tuple[int, int] | None = None,
    mask: np.ndarray | None = None,
    damping: float = DAMPING,
) -> np.ndarray:
    """Return the pruned weights, f32[out, in], the kept ones moved so that the layer's outputs change little.

    weights: f32[out, in]; hessian: f64[in, in]; exactly one of density (share kept, within each BLOCK of inputs), n_m
    (n of every m consecutive inputs of a row) and mask (bool[out, in], True for kept, from any criterion); damping:
    what is added to the Hessian's diagonal, as a share of its mean. Weights on inputs that were always 0 become 0, and
    zeros stay zero. Raises BadInput. Source: SparseGPT, Frantar and Alistarh 2023.
    """
    if sum(choice is not None for choice in (density, n_m, mask)) != 1:
        raise BadInput("exactly one of density, n_m and mask must be given")
    weights, hessian = _checked(weights, hessian)
    free = _free(weights, hessian, mask)
    values = weights.T.astype(np.float64)
    _sweep(values, inverse_factor(hessian, damping), free, _chooser(weights.shape, density, n_m))
    return checked_array("moved weights", values.T, (2,))


def gptq(
    weights: np.ndarray,
    hessian: np.ndarray,
    *,
    bits: int,
    per: str | int = "channel",
    act_order: bool = False,
    density: float | None = None,
    n_m: tuple[int, int] | None = None,
    mask: np.ndarray | None = None,
    damping: float = DAMPING,
) -> Quantised:
    """Return the weights rounded one input after another, each error compensated by the inputs that follow.

    weights, hessian, damping: see `sparsegpt`; bits, per: see `round_to_nearest`. With density, n_m or mask it prunes
    in the same sweep. act_order: go by falling diagonal of the Hessian. A grid's scale is taken when the sweep reaches
    it, from the weights as they are by then; with act_order, which comes to a group's inputs at different times, from
    the weights given. Zeros stay zero. Raises BadInput. Source: GPTQ, Frantar et al. 2023.
    """
    if sum(choice is not None for choice in (density, n_m, mask)) > 1:
        raise BadInput("at most one of density, n_m and mask may be given")
    if act_order and n_m is not None:
        raise BadInput(f"act_order must be False with n_m={n_m!r}, whose groups need their inputs in order, got True")
    weights, hessian = _checked(weights, hessian)
    order = np.argsort(-np.diag(hessian), kind="stable") if act_order else np.arange(len(hessian))
    free = _free(weights, hessian, mask)
    grid = _Grid(weights * free.T, bits, per, order, is_static=act_order)
    free, values = free[order], weights.T[order].astype(np.float64)
    factor = inverse_factor(hessian[np.ix_(order, order)], damping)
    _sweep(values, factor, free, _chooser(weights.shape, density, n_m), grid)
    codes = np.empty_like(grid.codes)
    codes[order] = grid.codes
    return Quantised(bits=bits, codes=np.ascontiguousarray(codes.T), scales=grid.scales)


def optimal_brain_surgeon(
    weights: np.ndarray, hessian: np.ndarray, density: float, *, damping: float = DAMPING
) -> np.ndarray:
    """Return the weights, f32[out, in], with round(density * in) left in each row, removed one at a time.

    Each time the weight of least w**2 / (2 [H^-1]_qq) goes, all others of its row follow, and so does H^-1: exact, and
    `in` / BLOCK times or more the work of `sparsegpt`. Arguments and errors: see `sparsegpt`. Source: Optimal Brain
    Surgeon, Hassibi and Stork 1993, a row at a time as every output has the same Hessian.
    """
    weights, hessian = _checked(weights, hessian)
    n_in = weights.shape[1]
    n_removed = n_in - round(checked_density(density) * n_in)
    start = inverse_factor(hessian, damping)
    start = start.T @ start
    free = _free(weights, hessian).T
    values = weights.astype(np.float64)
    for row, left in zip(values, free, strict=True):
        inverse = start.copy()
        gone = [*np.flatnonzero(~left)]
        for step in range(max(n_removed, len(gone))):
            if step < len(gone):
                q = gone[step]
            else:
                q = np.where(left, row**2 / np.maximum(np.diag(inverse), np.finfo(float).tiny), np.inf).argmin()
            column = inverse[:, q] / inverse[q, q]
            row -= row[q] * column
            inverse -= np.outer(column, inverse[q])
            left[q] = False
            inverse[q] = inverse[:, q] = 0
        row[~left] = 0
    return values.astype(np.float32)


def inverse_factor(hessian: np.ndarray, damping: float = DAMPING) -> np.ndarray:
    """Return f64[in, in], upper triangular U with H^-1 = U^T U, H damped; U[i, i]**2 is [H[i:, i:]^-1][0, 0].

    hessian: f64[in, in]. Raises BadInput where the damped Hessian is not positive definite.
    """
    mean = float(np.diag(hessian).mean())
    if mean == 0:
        raise BadInput("nothing reaches the matrix, its inputs are all zero: there is no error to keep small")
    if isinstance(damping, bool) or not isinstance(damping, Real) or not damping >= 0 or not mean > 0:
        raise BadInput(
            f"damping must be at least 0 and the hessian's mean diagonal above 0, got {damping!r} and {mean!r}"
        )
    damped = hessian + damping * mean * np.eye(len(hessian))
    try:
        # Reversed in both directions, the lower factor of H is an upper R with H = R R^T, and U is its inverse.
        upper = cholesky(damped[::-1, ::-1], lower=True, check_finite=False)[::-1, ::-1]
    except LinAlgError:
        raise BadInput(
            f"hessian must be positive definite once damped by {damping!r} of its mean diagonal; more damping would do"
        ) from None
    return np.triu(lapack.dtrtri(upper)[0])


class _Chooser:
    """Which weights stay, by saliency, chosen for `step` inputs at once."""

    def __init__(self, shape: tuple[int, int], density: float | None, n_m: tuple[int, int] | None):
        self.n_out = shape[0]
        self.density, self.n_m = density, n_m
        if n_m is None:
            self.step = BLOCK
            checked_density(density)
        else:
            self.n, self.step = checked_n_m(n_m)

    def keep(self, first: int, saliency: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return bool[inputs, out] for the saliency f64[inputs, out] of the inputs from `first` on."""
        rows = saliency.T
        if self.n_m is not None:
            return largest(rows, min(self.n, rows.shape[1])).T  # the last group may be short
        # A block without enough living weights leaves the rest of its share to the blocks after it.
        count = round(self.density * self.n_out * (first + len(saliency))) - np.count_nonzero(free[:first])
        return largest(rows.reshape(1, -1), min(count, rows.size)).reshape(rows.shape).T


class _Grid:
    """The grids of a layer whose inputs are visited in `order`, and the codes i8[in, out] given so far."""

    def __init__(self, weights: np.ndarray, bits: int, per: str | int, order: np.ndarray, is_static: bool):
        self.bits, self.is_static = bits, is_static
        self.per = per if per == "tensor" else "channel"  # of the part that `settle` is given, one group wide
        self.size = group_size(weights.shape[1], per)
        self.group_of = order // self.size
        self.scales = grid_scales(weights, bits, per)
        self.codes = np.zeros(weights.shape[::-1], np.int8)
        self.end = largest_code(bits)

    def settle(self, i: int, weights: np.ndarray) -> None:
        """Take the scale of the group that starts at input i from its weights as they are now, f64[out, size]."""
        self.scales[:, [self.group_of[i]]] = grid_scales(weights, self.bits, self.per)

    def round(self, i: int, values: np.ndarray) -> np.ndarray:
        """Return f64[out]: the nearest points for the i-th input, zero for zero."""
        scales = self.scales[:, self.group_of[i]]
        codes = np.rint(values / scales).clip(-self.end, self.end)
        self.codes[i] = codes
        return (self.codes[i] * scales).astype(np.float64)


def _sweep(
    values: np.ndarray,
    factor: np.ndarray,
    free: np.ndarray,
    choose: _Chooser | None,
    grid: _Grid | None = None,
) -> None:
    """Give each input in turn its final weights, and the inputs after it the compensation, all in place.

    values: f64[in, out], the weights; factor: see `inverse_factor`; kept: bool[in, out], narrowed where `choose` drops.
    """
    n_in, diagonal = len(values), np.diag(factor)
    errors = np.zeros_like(values)
    for start in range(0, n_in, BLOCK):
        stop = min(start + BLOCK, n_in)
        for i in range(start, stop):
            # Left-looking: within its block an input is brought up to date when it is reached, all errors in one go.
            before = slice(start, i)
            if choose is not None and i % choose.step == 0:
                group = slice(i, min(i + choose.step, n_in))
                reached = values[group] - factor[before, group].T @ errors[before]
                free[group] &= choose.keep(i, (reached * free[group] / diagonal[group, None]) ** 2, free)
            if grid is not None and not grid.is_static and i % grid.size == 0:
                group = slice(i, i + grid.size)
                reached = values[group] - factor[before, group].T @ errors[before]
                grid.settle(i, (reached * free[group]).T)
            value = values[i] - factor[before, i] @ errors[before]
            final = value * free[i]
            if grid is not None:
                final = grid.round(i, final)
            errors[i] = (value - final) / diagonal[i]
            values[i] = final
        values[stop:] -= factor[start:stop, stop:].T @ errors[start:stop]


def _chooser(shape: tuple[int, int], density: float | None, n_m: tuple[int, int] | None) -> _Chooser | None:
    return None if density is None and n_m is None else _Chooser(shape, density, n_m)


def _free(weights: np.ndarray, hessian: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return bool[in, out]: the weights that may stay: in the mask, not 0, and on inputs that were not always 0."""
    free = (weights != 0).T & (np.diag(hessian) > 0)[:, None]
    if mask is None:
        return free
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != weights.shape:
        raise BadInput(f"mask must be bool{list(weights.shape)}, got {mask.dtype}{list(mask.shape)}")
    return free & mask.T


def _checked(weights: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = checked_array("weights", weights, (2,))
    hessian, n_in = plain_array("hessian", hessian).astype(np.float64), weights.shape[1]
    if hessian.shape != (n_in, n_in) or not np.isfinite(hessian).all():
        raise BadInput(f"hessian must be finite f64[{n_in}, {n_in}] for weights {weights.shape}, got {hessian.shape}")
    if np.abs(hessian - hessian.T).max() > 1e-6 * np.abs(hessian).max():
        raise BadInput("hessian must be symmetric, got one that is not")
    return weights, hessian
