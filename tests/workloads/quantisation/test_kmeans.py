"""Is the best split of many values the one that an independent program finds, to the last value?"""

import kmeans1d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.naive_workloads import least_squared_error
from workloads.quantisation import kmeans
from workloads.quantisation.kmeans import best_starts

DISTRIBUTIONS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "born as f16": lambda rng, n: rng.standard_normal(n).astype(np.float16),
    "pruned": lambda rng, n: (values := rng.standard_normal(4 * n))[np.abs(values) > 1.15],
    "uniform": lambda rng, n: rng.random(n),
    "far from zero": lambda rng, n: 1000 + rng.standard_normal(n),
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
    "one tail": lambda rng, n: rng.lognormal(0, 2, n),
    "outliers": lambda rng, n: np.append(0.02 * rng.standard_normal(n), [-1, -0.7, 0.8, 0.9, 1]),
    "two humps": lambda rng, n: rng.choice([-1, 1], n) + 0.1 * rng.standard_normal(n),
    "more clumps than centroids": lambda rng, n: rng.integers(0, 30, n) ** 1.5 + 0.01 * rng.standard_normal(n),
}


def drawn(name: str, n: int) -> np.ndarray:
    return np.sort(DISTRIBUTIONS[name](np.random.default_rng(1), n).astype(np.float32)).astype(np.float64)


def kmeans1d_starts(ordered: np.ndarray, k: int) -> list[int]:
    return np.flatnonzero(np.diff(kmeans1d.cluster(ordered, k).clusters, prepend=-1)).tolist()


def squared_error(ordered: np.ndarray, starts) -> float:
    return sum(float(np.square(run - run.mean()).sum()) for run in np.split(ordered, starts[1:]))


@pytest.fixture(params=["one round or more", "none"])
def n_bins(request, monkeypatch):
    """Let 40,000 values go through rounds of fusing, or straight into the dynamic programme."""
    size = {"one round or more": 1 << 11, "none": 1 << 16}[request.param]
    monkeypatch.setattr(kmeans, "N_BINS", size)
    monkeypatch.setattr(kmeans, "BINS_OF_A_RUN", 64)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.usefixtures("n_bins")
def test_the_split_is_that_of_the_independent_program(name):
    ordered = drawn(name, 40_000)
    assert best_starts(ordered, 15).tolist() == kmeans1d_starts(ordered, 15)


@pytest.mark.parametrize("k", [1, 2, 3, 31, 255])
def test_so_it_is_for_few_and_for_many_runs(k, monkeypatch):
    monkeypatch.setattr(kmeans, "N_BINS", 1 << 10)
    monkeypatch.setattr(kmeans, "BINS_OF_A_RUN", 16)
    ordered = drawn("normal", 4_000)
    assert best_starts(ordered, k).tolist() == kmeans1d_starts(ordered, k)


def test_rounds_do_leave_little():
    ordered = drawn("normal", 100_000)
    heads = kmeans._possible_starts(ordered, np.ones(len(ordered)), 15, 1 << 12)
    assert heads[0] == 0
    assert set(kmeans1d_starts(ordered, 15)) <= set(heads.tolist())
    assert len(heads) < len(ordered) / 2  # else the round was in vain


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=10), st.integers(1, 4))
def test_no_partition_is_better(values, k):
    ordered = np.sort(np.array(values, np.float64))
    if len(set(values)) > k:
        starts = best_starts(ordered, k)
        assert len(starts) == k
        assert squared_error(ordered, starts) == pytest.approx(least_squared_error(values, k), abs=1e-9)


def test_among_equals_the_answer_is_as_good():
    # 0, 1, ..., 2**16 - 1 into 15: runs of 4369 and 4370 in any order, by sum of (m**3 - m) / 12
    n, k = 1 << 16, 15
    sizes = np.array([n // k + (i < n % k) for i in range(k)], np.float64)
    ordered = np.arange(n, dtype=np.float64)
    assert squared_error(ordered, best_starts(ordered, k)) == pytest.approx(((sizes**3 - sizes) / 12).sum(), rel=1e-12)
