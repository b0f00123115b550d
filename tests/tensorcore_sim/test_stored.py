"""How many bytes do weights take on a card, and is 2:4 chosen by the weights?"""

import numpy as np
import pytest

from tensorcore_sim import MACHINE, PRESETS, Spec, encode
from workloads import Shape, Workload


def layer(weights):
    return Workload(name="w", weights=weights, activations=np.ones(np.shape(weights)[1]))


@pytest.mark.parametrize(
    ("changes", "values", "metadata", "scales"),
    [
        ({}, 8 * 16 * 2, 0, 0),
        ({"in_dtype": "int8"}, 8 * 16, 0, 0),
        ({"sparsity": "2:4"}, 8 * 8 * 2, 8 * 8 * 2 / 8, 0),
        ({"sparsity": "1:4"}, 8 * 4 * 2, 8 * 4 * 2 / 8, 0),
        ({"sparsity": "2:4", "in_dtype": "int8"}, 8 * 8, 8 * 8 * 2 / 8, 0),
        ({"int4_weights": True, "scale_group": 8}, 8 * 16 / 2, 0, 8 * 2 * 2),
    ],
)
def test_values_metadata_and_scales_by_hand(changes, values, metadata, scales):
    spec = Spec(**changes)
    image = encode(layer(np.tile([1, 0, 0, 0], (8, 4))), spec)
    expected = {"values": values, "metadata": metadata, "scales": scales, "padding": 0}
    assert MACHINE.stored(image, spec) == expected


def test_a_last_group_that_is_not_full_is_padded():
    spec = Spec(sparsity="2:4")
    # Rows of 6 fill 8 places, 4 of which are kept: 2 bytes and 2 bits each; 3 of them for the 6.
    found = MACHINE.stored(encode(layer(np.tile([1, 0, 0, 0, 0, 0], (4, 1))), spec), spec)
    assert found == {"values": 4 * 3 * 2, "metadata": 4 * 3 / 4, "scales": 0, "padding": 4 * 1 * (2 + 1 / 4)}


@pytest.mark.parametrize("preset", PRESETS)
def test_weights_that_are_2_of_4_ask_for_it(preset):
    spec = PRESETS[preset]
    if spec.card == "t4":  # which has no 2:4
        assert MACHINE.suited(layer([[0, 1, 2, 0, 3, 4]]), spec) is spec
        return
    assert MACHINE.suited(layer([[0, 1, 2, 0, 3, 4]]), spec) == spec.replace(sparsity="2:4")
    assert MACHINE.suited(layer([[0, 1, 2, 3, 4, 0]]), spec) is spec


def test_what_was_asked_for_stays():
    spec = Spec(sparsity="1:8")
    assert MACHINE.suited(layer([[0, 1, 2, 0]]), spec) is spec
    assert MACHINE.suited(Shape(name="s", n_out=4, n_in=4, batch=1), Spec()) == Spec()
