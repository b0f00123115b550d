"""Does a refusal of weights say what this format's pattern is, and where its groups lie?"""

import numpy as np
import pytest

from tensorcore_sim import Spec, encode
from workloads import BadInput, Workload, load
from workloads.pruning.patterns import mask

# The PTX ISA's pattern of each format ("Sparse matrix storage"); a what-if is the one that was asked for
OWN = {"f16": "2:4", "bf16": "2:4", "int8": "2:4", "tf32": "1:2", "int4": "4:8 in pairs"}


def refusal(weights, spec: Spec) -> str:
    layer = Workload(name="w", weights=weights, activations=np.ones(weights.shape[1]))
    with pytest.raises(BadInput) as error:
        encode(layer, spec)
    return str(error.value)


@pytest.mark.parametrize("in_dtype", OWN)
@pytest.mark.parametrize("sparsity", ["2:4", "1:4", "4:8"])
def test_the_advice_is_the_pattern_that_the_refusal_names(in_dtype, sparsity):
    pattern = OWN[in_dtype] if sparsity == "2:4" else sparsity
    said = refusal(np.ones((2, 16)), Spec(in_dtype=in_dtype, sparsity=sparsity))
    assert said.startswith(f"weights of w: matrix must be {pattern}")
    assert said.endswith(f": prune to {pattern} first, or run with sparsity=dense")


@pytest.mark.parametrize("in_dtype", ["tf32", "int4"])
def test_weights_of_the_other_formats_pattern_are_told_this_one(in_dtype):
    # 2 of 4, but both of one pair, which is no 1:2; and 2 of 4 in every pair of 8, which is no 4:8 in pairs
    groups = {"tf32": [1, 1, 0, 0], "int4": [1, 0, 1, 0]}
    said = refusal(np.tile(groups[in_dtype], (2, 4)), Spec(in_dtype=in_dtype, sparsity="2:4"))
    assert f"prune to {OWN[in_dtype]} first" in said


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (4, 16, 1, 5), (8, 8, 2, 2)])
def test_a_convolution_pruned_along_its_input_channels_is_told_the_order_of_a_row(shape, tmp_path):
    n_out, n_in, height, width = shape
    weights = np.random.default_rng(0).uniform(1, 2, (n_out, height, width, n_in))
    weights *= mask(weights.reshape(n_out, -1), "2:4").reshape(weights.shape)  # each group: input channels of a place
    channels_first = weights.transpose(0, 3, 1, 2).reshape(n_out, -1)
    said = refusal(channels_first, Spec(sparsity="2:4"))
    assert said.endswith(
        ": prune to 2:4 first, or run with sparsity=dense; groups lie along a row: if this is a convolution with "
        f"kernels of {height * width} places, 2:4 along its input channels, store it as [out, kh, kw, in]"
    )
    np.savez(tmp_path / "conv.npz", **{"conv.weight": weights})  # as the advice has it
    assert encode(load(tmp_path / "conv.npz"), Spec(sparsity="2:4")).notes == ()
