"""Does the second-order sweep drop, round and compensate as its closed forms say?"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workloads.errors import BadInput
from workloads.pruning import obs
from workloads.pruning.obs import by_groups, gptq, hessian, inverse_factor, optimal_brain_surgeon, sparsegpt
from workloads.pruning.patterns import mask
from workloads.pruning.ranks import largest
from workloads.pruning.scores import magnitude
from workloads.quantisation.quantise import round_to_nearest

SEEDS = st.integers(0, 10**6)


def layer(seed, n_out=3, n_in=8, n_samples=30):
    """Return weights f32[out, in] and correlated inputs f32[samples, in]."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((n_samples, n_in)) @ (np.eye(n_in) + 0.5 * rng.standard_normal((n_in, n_in)))
    return rng.standard_normal((n_out, n_in)).astype(np.float32), mixed.astype(np.float32)


def output_error(inputs, weights, changed):
    return float(((inputs.astype(float) @ (weights.astype(float) - changed).T) ** 2).sum())


def swept(weights, h, *, density=None, n_m=None, mask=None, bits=None, group=None):
    """Return f64[out, in] by an inverse of the Hessian left at every input: a plain twin, for inputs of one block."""
    w, (n_out, n_in) = weights.astype(float), weights.shape
    h = h + 0.01 * np.diag(h).mean() * np.eye(n_in)
    kept = np.ones(w.shape, bool) if mask is None else mask.copy()
    pivot = [np.linalg.inv(h[i:, i:])[0, 0] for i in range(n_in)]
    for i in range(n_in):
        if density is not None and i == 0:
            places = sorted(np.ndindex(n_out, n_in), key=lambda p: -(w[p] ** 2) / pivot[p[1]])
            for place in places[round(density * w.size) :]:
                kept[place] = False
        if n_m is not None and i % n_m[1] == 0:
            for row in range(n_out):
                ranked = sorted(range(i, i + n_m[1]), key=lambda j: -(w[row, j] ** 2) / pivot[j])
                kept[row, ranked[n_m[0] :]] = False
        if bits is not None and i % (group or n_in) == 0:
            columns = slice(i, i + (group or n_in))
            end = 2 ** (bits - 1) - 1
            scale = np.abs(w[:, columns] * kept[:, columns]).max(axis=1) / end
        inverse = np.linalg.inv(h[i:, i:])
        for row in range(n_out):
            final = w[row, i] if kept[row, i] else 0.0
            if bits is not None:
                final = min(max(round(final / scale[row]), -end), end) * scale[row]
            w[row, i:] -= (w[row, i] - final) / inverse[0, 0] * inverse[0]
            w[row, i] = final
    return w


def test_pruning_one_of_two_weights_by_hand():
    # H = [[2, 1], [1, 2]], so H^-1 = [[2, -1], [-1, 2]] / 3; without w0 = 3 the other moves by 3 / (2/3) * 1/3 = 1.5.
    pruned = sparsegpt(np.array([[3, 4]]), np.array([[2, 1], [1, 2]]), mask=np.array([[False, True]]), damping=0)
    assert pruned == pytest.approx(np.array([[0, 5.5]]))


@given(SEEDS)
def test_dropping_the_first_input_is_the_closed_form_of_optimal_brain_surgeon(seed):
    weights, inputs = layer(seed)
    h, mask = hessian(inputs), np.ones(weights.shape, bool)
    mask[:, 0] = False
    inverse, w = np.linalg.inv(h), weights.astype(float)
    expected = w - w[:, :1] / inverse[0, 0] * inverse[0]
    pruned = sparsegpt(weights, h, mask=mask, damping=0)
    assert pruned == pytest.approx(expected, rel=1e-4, abs=1e-5)
    saliency = (w[:, 0] ** 2 / (2 * inverse[0, 0])).sum()
    assert output_error(inputs, weights, pruned) == pytest.approx(saliency, rel=1e-3)


@given(SEEDS)
def test_optimal_brain_surgeon_takes_the_least_saliency_and_costs_just_that(seed):
    weights, inputs = layer(seed)
    h = hessian(inputs)
    saliency = weights.astype(float) ** 2 / (2 * np.diag(np.linalg.inv(h)))
    pruned = optimal_brain_surgeon(weights, h, 7 / 8, damping=0)
    assert (pruned == 0).sum(axis=1).tolist() == [1, 1, 1]
    assert (pruned == 0).argmax(axis=1).tolist() == saliency.argmin(axis=1).tolist()
    assert output_error(inputs, weights, pruned) == pytest.approx(saliency.min(axis=1).sum(), rel=1e-3, abs=1e-6)


@given(SEEDS, st.integers(1, 7))
def test_what_optimal_brain_surgeon_leaves_are_the_least_squares_weights(seed, n_kept):
    weights, inputs = layer(seed)
    pruned = optimal_brain_surgeon(weights, hessian(inputs), n_kept / 8, damping=0)
    for row, before in zip(pruned, weights, strict=True):
        kept = row != 0
        assert kept.sum() == n_kept
        best = np.linalg.lstsq(inputs[:, kept].astype(float), inputs.astype(float) @ before, rcond=None)[0]
        assert row[kept] == pytest.approx(best, rel=1e-3, abs=1e-4)


@given(SEEDS)
def test_the_diagonal_of_the_factor_is_the_inverse_of_the_hessian_that_is_left(seed):
    h = hessian(layer(seed)[1])
    rounding = 100 * np.linalg.cond(h) * np.finfo(np.float64).eps
    assume(rounding < 1e-4)  # a Hessian that cannot be inverted in f64 says nothing
    factor = inverse_factor(h, damping=0)
    assert factor.T @ factor @ h == pytest.approx(np.eye(8), abs=1e-9 + rounding)
    assert (np.tril(factor, -1) == 0).all()
    left = [np.linalg.inv(h[i:, i:])[0, 0] for i in range(8)]
    assert np.diag(factor) ** 2 == pytest.approx(left, rel=1e-9 + rounding)


@pytest.mark.parametrize(
    "asked",
    [
        {"density": 0.5},
        {"density": 0.3},
        {"n_m": (2, 4)},
        {"n_m": (1, 8)},
        {"mask": np.arange(24).reshape(3, 8) % 3 > 0},
        {"bits": 2},
        {"bits": 4},
        {"bits": 3, "group": 4},
        {"bits": 3, "n_m": (2, 4)},
        {"bits": 4, "density": 0.5},
        {"bits": 4, "mask": np.arange(24).reshape(3, 8) % 3 > 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(5))
def test_the_sweep_is_its_plain_twin(asked, seed):
    weights, inputs = layer(seed)
    h = hessian(inputs)
    expected = swept(weights, h, **asked)
    if "bits" in asked:
        keywords = {key: value for key, value in asked.items() if key != "group"}
        found = gptq(weights, h, per=asked.get("group", "channel"), **keywords).weights
    else:
        found = sparsegpt(weights, h, **asked)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert np.array_equal(found != 0, expected != 0)


@pytest.mark.parametrize("block", [1, 3, 8])
@pytest.mark.parametrize("asked", [{"n_m": (2, 4)}, {"mask": np.arange(48).reshape(4, 12) % 3 > 0}], ids=str)
def test_the_block_is_a_matter_of_speed_only(block, asked, monkeypatch):
    weights, inputs = layer(1, n_out=4, n_in=12)
    h = hessian(inputs)
    whole = [sparsegpt(weights, h, **asked), gptq(weights, h, bits=3, per=6).weights]
    monkeypatch.setattr(obs, "BLOCK", block)
    for one, other in zip(
        whole, [sparsegpt(weights, h, **asked), gptq(weights, h, bits=3, per=6).weights], strict=True
    ):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)


@given(SEEDS)
def test_without_correlation_there_is_only_magnitude_and_rounding(seed):
    weights, h = layer(seed)[0], 2 * np.eye(8)
    assert np.array_equal(sparsegpt(weights, h, density=0.5), weights * mask(magnitude(weights), "element", 0.5))
    assert np.array_equal(optimal_brain_surgeon(weights, h, 0.5) != 0, largest(np.abs(weights), 4))
    for per in ("tensor", "channel", 4):
        found, expected = gptq(weights, h, bits=3, per=per), round_to_nearest(weights, 3, per)
        assert np.array_equal(found.codes, expected.codes)
        assert np.array_equal(found.scales, expected.scales)


@given(SEEDS)
def test_act_order_is_the_sweep_over_inputs_reordered(seed):
    weights, inputs = layer(seed)
    inputs *= np.linspace(0.5, 3, 8, dtype=np.float32)
    h = hessian(inputs)
    order = np.argsort(-np.diag(h))
    plain = gptq(weights[:, order], h[np.ix_(order, order)], bits=3)
    reordered = gptq(weights, h, bits=3, act_order=True)
    assert np.array_equal(reordered.codes[:, order], plain.codes)
    # Groups stay groups of neighbours, with the scales of the weights given.
    grouped = gptq(weights, h, bits=3, per=4, act_order=True)
    assert np.array_equal(grouped.scales, round_to_nearest(weights, 3, 4).scales)


@given(SEEDS, st.floats(0.05, 1))
@settings(max_examples=25)
def test_exactly_the_asked_share_stays_over_all_blocks(seed, density):
    weights, inputs = layer(seed, n_out=3, n_in=300, n_samples=40)
    assert np.count_nonzero(sparsegpt(weights, hessian(inputs), density=density)) == round(density * 900)


@given(SEEDS)
@settings(max_examples=25)
def test_every_group_of_a_row_keeps_n_of_m(seed):
    weights, inputs = layer(seed, n_in=24)
    for n, m in [(2, 4), (1, 4), (4, 8), (1, 3)]:
        kept = sparsegpt(weights, hessian(inputs), n_m=(n, m)) != 0
        assert (kept.reshape(3, -1, m).sum(axis=2) == n).all()


@given(SEEDS)
def test_zeros_stay_zero_and_dead_inputs_lose_their_weights(seed):
    weights, inputs = layer(seed)
    weights[0, 2] = weights[2, 7] = 0
    inputs[:, 4] = 0
    h = hessian(inputs)
    for changed in (
        sparsegpt(weights, h, density=1),
        sparsegpt(weights, h, n_m=(3, 4)),
        optimal_brain_surgeon(weights, h, 1),
        gptq(weights, h, bits=8).weights,
        gptq(weights, h, bits=8, density=0.8, act_order=True).weights,
    ):
        assert (changed[weights == 0] == 0).all()
        assert (changed[:, 4] == 0).all()
        assert np.isfinite(changed).all()
    untouched = sparsegpt(weights[:1], hessian(inputs), density=1)  # nothing to compensate but the dead input's nothing
    assert np.delete(untouched, 4) == pytest.approx(np.delete(weights[0], 4), rel=1e-5)


def test_pruned_zeros_stay_zero_when_rounding_follows_pruning():
    weights, inputs = layer(3, n_out=16, n_in=64, n_samples=200)
    h = hessian(inputs)
    pruned = sparsegpt(weights, h, n_m=(2, 4))
    assert (gptq(pruned, h, bits=4).codes[pruned == 0] == 0).all()


def test_weights_that_go_take_no_part_in_a_grid():
    weights, inputs = layer(4)
    inputs[:, 6], weights[:, 6], weights[1, 0] = 0, 100, 50
    mask = np.ones(weights.shape, bool)
    mask[1, 0] = False
    for act_order in (False, True):
        assert gptq(weights, hessian(inputs), bits=4, mask=mask, act_order=act_order).scales.max() < 1


def test_compensation_beats_leaving_the_others_alone():
    # 64 inputs driven by 16 causes: what one input loses the others can give.
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((500, 16)) @ rng.standard_normal((16, 64)) + 0.3 * rng.standard_normal((500, 64))
    weights, h = rng.standard_normal((32, 64)).astype(np.float32), hessian(inputs)
    kept = mask(magnitude(weights), "element", 0.5)
    alone = output_error(inputs, weights, weights * kept)
    given = output_error(inputs, weights, sparsegpt(weights, h, mask=kept))
    adaptive = output_error(inputs, weights, sparsegpt(weights, h, density=0.5))
    assert adaptive < given < alone / 2
    rounded = [
        output_error(inputs, weights, q.weights) for q in (gptq(weights, h, bits=3), round_to_nearest(weights, 3))
    ]
    assert rounded[0] < rounded[1] / 2


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_the_unit_of_the_inputs_changes_nothing(scale):
    # Every formula is one of ratios of the Hessian's entries, the damping is a share of them, and 2**30 rounds nothing.
    weights, inputs = layer(5)
    h = hessian(inputs)
    for prune in (
        lambda h: sparsegpt(weights, h, density=0.5),
        lambda h: sparsegpt(weights, h, n_m=(2, 4)),
        lambda h: optimal_brain_surgeon(weights, h, 0.5),
        lambda h: gptq(weights, h, bits=3, act_order=True).weights,
    ):
        assert prune(scale * h) == pytest.approx(prune(h), rel=1e-5)


def test_the_hessians_of_batches_add_up():
    inputs = layer(0)[1]
    assert hessian(inputs[:11]) + hessian(inputs[11:]) == pytest.approx(hessian(inputs), rel=1e-12)
    assert hessian(np.array([[1, 2], [3, 4]])).tolist() == [[20, 28], [28, 40]]


@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.integers(0, 4))
def test_the_largest_are_chosen_by_rank_the_earlier_of_equals(scores, n):
    found = largest(np.array([scores, scores[::-1]], float), n)
    for row, chosen in zip((scores, scores[::-1]), found, strict=True):
        ranked = sorted(range(4), key=lambda i: (-row[i], i))
        assert set(np.flatnonzero(chosen)) == set(ranked[:n])


W, H = np.ones((2, 8), np.float32), np.eye(8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sparsegpt(W, H), "exactly one of density, n_m and mask must be given"),
        (lambda: sparsegpt(W, H, density=0.5, mask=W > 0), "exactly one of density, n_m and mask must be given"),
        (lambda: sparsegpt(W, H, density=0), "density must be a number above 0 and at most 1, got 0"),
        (lambda: sparsegpt(W, H, n_m=(4, 3)), r"n_m must be \(n, m\) with 1 <= n <= m, got \(4, 3\)"),
        (lambda: sparsegpt(W, H, n_m=(5, 4)), r"n_m must be .*, got \(5, 4\)"),
        (lambda: sparsegpt(W, H, n_m="2:4"), "n_m must be .*, got '2:4'"),
        (lambda: sparsegpt(W, H, mask=W), r"mask must be bool\[2, 8\], got float32\[2, 8\]"),
        (lambda: sparsegpt(W, np.eye(7), density=0.5), r"hessian must be finite f64\[8, 8\] .* got \(7, 7\)"),
        (lambda: sparsegpt(W, np.tri(8), density=0.5), "hessian must be symmetric"),
        (lambda: sparsegpt(W, -H, density=0.5), "mean diagonal above 0"),
        (lambda: sparsegpt(W, H, density=0.5, damping=-1), "damping must be at least 0"),
        (lambda: sparsegpt(W, H - 0.5, density=0.5), "hessian must be positive definite once damped by 0.01"),
        (lambda: sparsegpt(W * np.nan, H, density=0.5), "weights must be finite f32, got nan"),
        (lambda: gptq(W, H, bits=1), "bits must be 2 to 8, got 1"),
        (lambda: gptq(W, H, bits=4, per=3), "per must be .* divides 8 inputs, got 3"),
        (lambda: gptq(W, H, bits=4, n_m=(2, 4), act_order=True), "act_order must be False with n_m"),
        (lambda: gptq(W, H, bits=4, n_m=(2, 4), density=0.5), "at most one of density, n_m and mask may be given"),
        (lambda: optimal_brain_surgeon(W, H, 2), "density must be a number above 0 and at most 1, got 2"),
        (lambda: hessian(np.array([[np.inf]])), "inputs must be finite"),
    ],
)
def test_what_cannot_be_asked_is_named(call, message):
    with pytest.raises(BadInput, match=message):
        call()


def test_groups_that_nothing_reaches_become_zero_unless_nothing_reaches_any():
    weights, active = np.float32([[3, 4]]), np.float32([[1, 2]])

    def twice(of_group, h):
        assert np.array_equal(h, 2 * np.outer(active[0], active[0]))
        return 2 * of_group

    found = by_groups([(weights, 0 * active), (weights, active)], twice)
    assert found.tolist() == [[0, 0], [6, 8]]
    with pytest.raises(BadInput, match="nothing reaches the matrix, its inputs are all zero"):
        by_groups([(weights, 0 * active)] * 2, lambda *of: sparsegpt(*of, density=0.5))
