"""Is a convolution in groups compressed as so many matrices, each with its own inputs?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads import BadInput
from workloads.recipes.granularity import flexibility, targets
from workloads.recipes.recipe import Recipe
from workloads.records import Model, Workload

RNG = np.random.default_rng(4)
GROUPS, N_OUT, N_IN, KERNEL = 3, 4, 8, 2  # outputs and inputs of a group
BLOCKS = RNG.standard_normal((GROUPS, N_OUT, N_IN), np.float32)
INPUTS = RNG.standard_normal((40, GROUPS, N_IN), np.float32)
BIAS = RNG.standard_normal((GROUPS, N_OUT), np.float32)


def whole() -> Model:
    """Return the layer in groups, its blocks put on the diagonal one by one."""
    matrix = np.zeros((GROUPS * N_OUT, GROUPS * N_IN), np.float32)
    for g, block in enumerate(BLOCKS):
        matrix[g * N_OUT : (g + 1) * N_OUT, g * N_IN : (g + 1) * N_IN] = block
    layer = Workload(
        name="c",
        weights=matrix,
        bias=BIAS.ravel(),
        activations=INPUTS.reshape(len(INPUTS), -1),
        groups=GROUPS,
        kernel=KERNEL,
        relu=True,
    )
    return Model(name="m", operators=(layer,))


def apart() -> Model:
    """Return each group as a layer of its own."""
    layers = [
        Workload(name=f"c{g}", weights=BLOCKS[g], bias=BIAS[g], activations=INPUTS[:, g], kernel=KERNEL, relu=True)
        for g in range(GROUPS)
    ]
    return Model(name="m", operators=tuple(layers))


def both(text: str) -> tuple[Workload, list[Workload]]:
    recipe = Recipe.parse(text)
    (layer,) = recipe.fit(whole()).workloads(None)
    return layer, recipe.fit(apart()).workloads(None)


STEP = '[[step]]\ndo = "prune"\n'


@pytest.mark.parametrize(
    "text",
    [
        f'{STEP}pattern = "2:4"',
        f'{STEP}pattern = "3:5"',  # the last group of a block is short, and reaches into no other block
        f"{STEP}density = 0.5\nwithin = 'row'",
        f"{STEP}density = 0.5\ncriterion = 'wanda'",
        f"{STEP}density = 0.5\ncriterion = 'sparsegpt'",
        f"{STEP}pattern = '2:4'\ncriterion = 'sparsegpt'",
        f"{STEP}pattern = 'channel'\ndensity = 0.5\ncriterion = 'lasso'",
        f"{STEP}pattern = 'channel'\ndensity = 0.5\ncriterion = 'thinet'",
        f"{STEP}pattern = 'channel'\ndensity = 0.5\ncriterion = 'thinet'\n[[step]]\ndo = 'reconstruct'",
        f"{STEP}density = 0.5\nwithin = 'row'\n[[step]]\ndo = 'reconstruct'\nmethod = 'sweep'",
        '[[step]]\ndo = "quantise"\n',
        '[[step]]\ndo = "quantise"\nmethod = "gptq"\n',
        '[[step]]\ndo = "quantise"\nmethod = "awq"\nper = 4\n',
    ],
)
def test_it_is_as_its_groups_are_apart(text):
    layer, groups = both(text)
    for g, own in enumerate(groups):
        np.testing.assert_array_equal(layer.blocks[g * N_OUT : (g + 1) * N_OUT], own.weights)
        np.testing.assert_array_equal(layer.bias[g * N_OUT : (g + 1) * N_OUT], own.bias)
        assert not np.array_equal(own.weights, BLOCKS[g])
    assert np.count_nonzero(layer.weights) == np.count_nonzero(layer.blocks)  # nothing beside the blocks


def test_a_short_last_group_is_said():
    # 8 inputs of a group are two groups of four, and one of five with three left
    assert Recipe.parse(f'{STEP}pattern = "2:4"').fit(whole()).notes == ()
    (note,) = Recipe.parse(f'{STEP}pattern = "3:5"').fit(whole()).notes
    assert note.startswith("step 1 (prune): a row's last group of 3:5 is short, and filled up with zeros")
    assert note.endswith(": c")


def test_elements_are_ranked_over_the_whole_layer():
    layer, _ = both(f"{STEP}density = 0.25")
    least = np.sort(np.abs(BLOCKS), axis=None)[-BLOCKS.size // 4]
    np.testing.assert_array_equal(layer.blocks.reshape(BLOCKS.shape), np.where(np.abs(BLOCKS) >= least, BLOCKS, 0))


def test_a_channel_is_one_group_s():
    layer, _ = both(f"{STEP}pattern = 'channel'\ndensity = 0.5")
    sums = np.abs(BLOCKS).reshape(GROUPS, N_OUT, -1, KERNEL).sum(axis=(1, 3), dtype=np.float64)
    kept = sums >= np.sort(sums, axis=None)[-sums.size // 2]
    expected = np.where(np.repeat(kept, KERNEL, axis=1)[:, None], BLOCKS, 0)
    np.testing.assert_array_equal(layer.blocks.reshape(BLOCKS.shape), expected)


def test_one_ranking_over_layers_takes_a_layer_s_groups_apart_where_boxes_are_tall():
    layer, _ = both(f"{STEP}pattern = 'block 4x2'\ndensity = 0.5\nscope = 'global'")
    sums = np.abs(BLOCKS).reshape(GROUPS, N_OUT, -1, 2).sum(axis=(1, 3), dtype=np.float64)
    kept = sums >= np.sort(sums, axis=None)[-sums.size // 2]
    np.testing.assert_array_equal(layer.blocks.reshape(GROUPS, N_OUT, -1, 2).any(axis=(1, 3)), kept)


def test_one_codebook_serves_all_groups():
    layer, _ = both('[[step]]\ndo = "share"\nbits = 3\n')
    assert len(np.unique(np.append(layer.blocks, layer.bias))) == 7
    assert np.array_equal(layer.codes != 0, layer.weights != 0)
    assert np.count_nonzero(layer.weights) == BLOCKS.size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{STEP}pattern = 'block 8x2'\ndensity = 0.5", "shape must be a multiple of 8 x 2"),  # two groups high
        ('[[step]]\ndo = "quantise"\nmethod = "gptq"\nper = "tensor"', "per must be 'channel' or a size for 3 groups"),
        (f"{STEP}pattern = '2:4'\n[[step]]\ndo = 'permute'", "no matrix before it"),
    ],
)
def test_what_would_mix_groups_is_refused(text, said):
    with pytest.raises(BadInput, match=said):
        Recipe.parse(text).fit(whole())


def test_densities_and_flexibility_are_of_the_blocks():
    fitted = Recipe.parse(f'{STEP}pattern = "2:4"').fit(whole())
    assert fitted.steps[0]["density"] == 0.5
    assert targets(whole(), ["block 4x2", "2:4"]) == (["c"], [])
    # Of every 4 neighbours 2 stay, in 6 ways; of the 12 boxes of 4 x 2 six stay, in 924.
    assert flexibility(whole(), "2:4", 0.5, ["c"]) == pytest.approx(np.log2(6) / 4)
    assert flexibility(whole(), "block 4x2", 0.5, ["c"]) == pytest.approx(np.log2(924) / BLOCKS.size)


@pytest.mark.parametrize(
    "text",
    [
        f"{STEP}pattern = '2:4'\ncriterion = 'sparsegpt'",
        f"{STEP}pattern = '2:4'\n[[step]]\ndo = 'reconstruct'\nmethod = 'sweep'",
        '[[step]]\ndo = "quantise"\nmethod = "gptq"\n',
    ],
)
def test_weights_that_nothing_reaches_go_where_errors_count(text):
    inputs = INPUTS.copy()
    inputs[:, 1] = 0
    (layer,) = whole().layers
    layer = Model(name="m", operators=(replace(layer, activations=inputs.reshape(len(inputs), -1)),))
    (made,) = Recipe.parse(text).fit(layer).workloads(None)
    (reached,) = Recipe.parse(text).fit(whole()).workloads(None)
    halves = made.blocks.reshape(BLOCKS.shape), reached.blocks.reshape(BLOCKS.shape)
    assert not halves[0][1].any()
    assert all(np.array_equal(halves[0][g], halves[1][g]) for g in (0, 2))
    nothing = Model(name="m", operators=(replace(layer.layers[0], activations=0 * layer.layers[0].activations),))
    with pytest.raises(BadInput, match="matrix 'c': nothing reaches the matrix"):
        Recipe.parse(text).fit(nothing)
