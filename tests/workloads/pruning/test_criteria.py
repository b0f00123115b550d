"""Does each criterion look at what it says, of the matrix that it is asked about?"""

from types import SimpleNamespace

import numpy as np
import pytest

from workloads.errors import BadInput
from workloads.pruning import scores
from workloads.pruning.criteria import CRITERIA, Evidence
from workloads.pruning.reconstruct import lasso_channels, thinet_channels
from workloads.records import Workload

RNG = np.random.default_rng(4)
SHAPES = {"fc1": (6, 4), "fc2": (6, 6), "fc3": (3, 6)}  # fc1 and fc2 have a ReLU behind them


class Seen(Evidence):
    """Three layers in a row; the matrices are half the weights, as those of a BatchNorm folded with 2."""

    def __init__(self):
        self.weights = {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
        self.matrices = {name: weights / 2 for name, weights in self.weights.items()}
        self.kernels = {"fc1": 1, "fc2": 2, "fc3": 1}
        self.groups = dict.fromkeys(SHAPES, 1)
        self.before = {"fc2": "fc1", "fc3": "fc2"}
        self.gammas = {"fc1": np.array([2, -1, 3, 0, 5, -4], np.float32)}
        self.seed = 7

    @property
    def reaching(self):
        return {name: INPUTS[name] for name in SHAPES}

    @property
    def layers(self):
        return {
            name: Workload(name=name, weights=weights, activations=INPUTS[name], relu=name != "fc3")
            for name, weights in self.weights.items()
        }

    @property
    def fisher(self):
        return {name: np.full(shape, i + 1, np.float32) for i, (name, shape) in enumerate(SHAPES.items())}


INPUTS = {name: RNG.standard_normal((20, n_in)).astype(np.float32) for name, (_, n_in) in SHAPES.items()}
SEEN = Seen()
STEP = SimpleNamespace(p=2, densities=lambda matrices: dict.fromkeys(matrices, 2 / 3))
LEAVING = {name: np.maximum(INPUTS[name] @ SEEN.weights[name].T, 0) for name in ("fc1", "fc2")}


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("magnitude", SEEN.matrices["fc2"] ** 2),
        ("wanda", scores.wanda(SEEN.matrices["fc2"], INPUTS["fc2"])),
        ("obd", SEEN.weights["fc2"] ** 2),  # h w**2 / 2, h = 2
        ("apoz", scores.apoz(SEEN.matrices["fc2"], LEAVING["fc2"])),
        ("contribution", scores.contribution(SEEN.matrices["fc2"], LEAVING["fc2"], SEEN.matrices["fc3"])),
    ],
)
def test_a_score_is_of_the_matrix_and_what_reaches_or_leaves_it(criterion, expected):
    assert CRITERIA[criterion](SEEN, "fc2", STEP) == pytest.approx(expected, rel=1e-6)


def test_a_scale_is_the_one_of_the_batch_norm_behind():
    expected = np.repeat(np.array([[2], [1], [3], [0], [5], [4]]) / 4, 4, axis=1)  # an equal part for each of 4 inputs
    assert CRITERIA["scaling"](SEEN, "fc1", STEP) == pytest.approx(expected)


def test_each_matrix_has_chances_of_its_own():
    drawn = [CRITERIA["random"](SEEN, name, STEP) for name in SHAPES]
    for place, (scored, shape) in enumerate(zip(drawn, SHAPES.values(), strict=True)):
        # A place among up to 2**16 matrices, in the lower bits: no two seeds and places share their chances.
        assert np.array_equal(scored, np.random.default_rng(7 * 65536 + place).random(shape, dtype=np.float32))


@pytest.mark.parametrize(("criterion", "choose"), [("lasso", lasso_channels), ("thinet", thinet_channels)])
def test_channels_that_are_chosen_score_1_in_every_output(criterion, choose):
    chosen = choose(SEEN.matrices["fc2"], INPUTS["fc2"], 2, kernel=2)  # 2/3 of 3 channels of 2 columns
    scored = CRITERIA[criterion](SEEN, "fc2", STEP)
    assert scored.shape == (6, 6)
    for row in scored:
        assert row.tolist() == [float(chosen[column // 2]) for column in range(6)]


@pytest.mark.parametrize(
    ("criterion", "name", "message"),
    [
        ("apoz", "fc3", "criterion 'apoz' takes a ReLU behind the matrix, 'fc3' has none"),
        ("contribution", "fc3", "criterion 'contribution' takes a matrix behind 'fc3', there is none"),
        ("scaling", "fc2", "criterion 'scaling' takes a BatchNorm behind the matrix, 'fc2' has none"),
    ],
)
def test_what_a_matrix_has_not_got_is_named(criterion, name, message):
    with pytest.raises(BadInput, match=message):
        CRITERIA[criterion](SEEN, name, STEP)
