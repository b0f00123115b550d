"""Is an array that is more than its numbers, masked or sparse, taken for what it means, or refused by name?"""

import numpy as np
import pytest
from scipy import sparse

import eie_sim
from workloads import BadInput, Workload, load
from workloads.networks.modules import Linear
from workloads.networks.train import checked_labels
from workloads.pruning.obs import hessian, sparsegpt
from workloads.pruning.patterns import mask
from workloads.pruning.scores import magnitude
from workloads.quantisation.quantise import round_to_nearest
from workloads.quantisation.share import cluster
from workloads.readers import expected

WEIGHTS = np.array([[0, 2, 0], [0, 0, 3], [4, 0, 0]], np.float32)
INPUTS = np.array([[1, 2, 3]], np.float32)
DOORS = {
    "weights": lambda array: Workload(name="w", weights=array, activations=INPUTS),
    "activations": lambda array: Workload(name="w", weights=WEIGHTS, activations=array),
    "activations of a run": lambda array: run(array[0]),
    "activations of runs": lambda array: run(array),
    "weights of a module": lambda array: Linear(weights=array),
    "weights to score": magnitude,
    "scores": lambda array: mask(array, "element", 0.5),
    "weights to round": lambda array: round_to_nearest(array, 4),
    "inputs": hessian,
    "hessian": lambda array: sparsegpt(WEIGHTS, array, density=0.5),
    "values": lambda array: cluster(array, 3),
    "labels": lambda array: checked_labels(array[0].astype(int), 3),
}


def run(activations):
    spec = eie_sim.Spec(n_pes=2)
    image = eie_sim.encode(Workload(name="w", weights=WEIGHTS, activations=INPUTS), spec)
    eie_sim.simulate(image, INPUTS[0], spec, engine="schedule")  # whose result must not stand for a masked array's
    return eie_sim.simulate(image, activations, spec, engine="schedule")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mask_is_not_passed_over(door, dtype):
    hidden = np.ma.masked_greater(np.tile(INPUTS, (3, 1)).astype(dtype), 2)
    with pytest.raises(BadInput, match=r"^\w+ must have no masked elements, got \d: give \.filled\(0\)$"):
        DOORS[door](hidden)


def test_a_masked_array_that_hides_nothing_is_its_numbers():
    work = Workload(name="w", weights=np.ma.masked_array(WEIGHTS), activations=INPUTS)
    assert type(work.weights) is np.ndarray
    assert np.array_equal(work.weights, WEIGHTS)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array, sparse.lil_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sparse_matrix_is_the_dense_one(form, dtype):
    given = form(WEIGHTS.astype(dtype))
    assert np.array_equal(Workload(name="w", weights=given, activations=form(INPUTS)).weights, WEIGHTS)
    assert np.array_equal(Linear(weights=given).weights, WEIGHTS)
    assert np.array_equal(mask(given, "element", 1 / 9), mask(WEIGHTS, "element", 1 / 9))
    assert run(form(INPUTS)).id == run(INPUTS).id


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.coo_matrix])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 1)])
def test_a_file_of_scipy_s_is_the_matrix_that_it_holds(form, shape, tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.integers(-2, 3, shape)
    path = tmp_path / "m.npz"
    sparse.save_npz(path, form(weights))
    assert np.array_equal(load(path).weights, weights)
    assert load(path).name == "m"
    assert expected(path)[1] > 0


def test_values_of_one_place_add_up_as_scipy_has_it(tmp_path):
    path = tmp_path / "m.npz"
    twice = sparse.coo_matrix(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    sparse.save_npz(path, twice)
    assert load(path).weights.tolist() == twice.toarray().tolist() == [[0, 3], [4, 0]]


CSR = {"format": b"csr", "shape": [2, 3], "data": [1.0, 2.0], "indices": [0, 2], "indptr": [0, 1, 2]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": b"dia"}, r"of format 'dia': save it as one of csr, csc, coo$"),
        ({"shape": [2, 10**9]}, "promises a matrix of 2 x 1,000,000,000"),
        ({"shape": [2]}, "two whole numbers"),
        ({"indices": [0, 3]}, "its places must be from 0 to 2"),
        ({"indices": [0, -1]}, "its places must be from 0 to 2"),
        ({"indptr": [0, 1]}, "'indptr' must be 3 numbers that rise from 0"),
        ({"indptr": [0, 3, 2]}, "'indptr' must be 3 numbers that rise from 0"),
        ({"indptr": [0, 1, 3]}, "it has 2 values for 3 rows and 2 columns"),
        ({"indices": [0.0, 1.0]}, "must have int 'indices'"),
        ({"data": [1.0, 1e39]}, r"weights must be finite f32, got inf at index \(1, 2\)"),
        ({"data": ["a", "b"]}, "must hold real numbers"),
    ],
)
def test_a_damaged_one_is_refused(changes, complaint, tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, **CSR | changes)
    with pytest.raises(BadInput, match=complaint):
        load(path)
    expected(path)  # which says nothing of it
