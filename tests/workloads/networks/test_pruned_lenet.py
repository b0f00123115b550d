"""Does pruning cost a trained network the more, the coarser the pattern and the worse the criterion?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads.networks import lenet
from workloads.pruning import scores
from workloads.pruning.patterns import global_masks
from workloads.pruning.prune import masked, prune

# On the shipped 1,000 images one sigma of an accuracy is 1 to 1.6 points; orders as in Mao et al. 2017 (granularity)
# and Han et al. 2015 (magnitude, without tuning).


@pytest.fixture(scope="module")
def network():
    return lenet.dense()


def accuracy(network, layers):
    return replace(network, layers=tuple(layers)).accuracy()


def test_finer_patterns_lose_less(network):
    *hidden, last = network.layers  # the 10 outputs of the last are no multiple of 4
    found = [
        accuracy(network, [*(prune(layer, 0.25, pattern) for layer in hidden), last])
        for pattern in ("element", "vector 1x4", "block 4x4", "filter")
    ]
    assert all(finer > coarser + 0.03 for finer, coarser in zip(found, found[1:]))


def test_criteria_beat_chance(network):
    reaching = [network.inputs, *network.forward()]
    criteria = {
        "magnitude": lambda weights, inputs: scores.magnitude(weights),
        "wanda": scores.wanda,
        "chance": lambda weights, inputs: scores.random(weights, seed=1),
    }
    found = {
        name: accuracy(
            network,
            [
                prune(layer, 0.3, scores=score(layer.weights, x))
                for layer, x in zip(network.layers, reaching, strict=False)
            ],
        )
        for name, score in criteria.items()
    }
    assert found["magnitude"] > found["chance"] + 0.2
    assert found["wanda"] > found["chance"] + 0.2


def test_choosing_over_all_layers_spares_the_small_last_one(network):
    # As Deep Compression does, which keeps 8, 9 and 26% (table 2).
    magnitudes = [scores.magnitude(layer.weights) for layer in network.layers]
    masks = global_masks(magnitudes, "element", 0.1, floor=0.05)
    kept = [np.count_nonzero(one) / one.size for one in masks]
    assert kept[0] < kept[1] < kept[2]
    globally = accuracy(network, [masked(layer, one) for layer, one in zip(network.layers, masks, strict=True)])
    assert globally > accuracy(network, [prune(layer, 0.1) for layer in network.layers]) + 0.03


def test_the_shipped_images_are_as_many_of_each_class_as_training_ships(network):
    assert np.bincount(network.labels).tolist() == [lenet.N_SHIPPED_OF_A_CLASS] * 10
