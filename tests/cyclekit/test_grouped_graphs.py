"""Does a depthwise convolution of an ONNX graph take the cycles of the block-diagonal matrix that it is?"""

import numpy as np
import pytest

import eie_sim
from cyclekit.positions import inputs_of, played
from tests.onnx_models import helper, model_of, normal, only
from workloads.address import half_normal


def depthwise(folder, n_channels, signal, **stored):
    """Return the layer of a 3x3 kernel for each channel, on feature maps of 3x3 or more."""
    stored = {"dw.weight": np.abs(normal(n_channels, 1, 3, 3)) + np.float32(0.1), **stored}
    node = helper.make_node("Conv", ["x", *stored], ["y"], group=n_channels)
    return only(folder, model_of([node], {"x": signal.shape}, stored), {"x": signal})


@pytest.mark.parametrize("engine", eie_sim.MACHINE.engines)
def test_eight_channels_of_which_a_third_is_active(tmp_path, engine):
    """The case of a grouped convolution that was once read as a plain matrix: 14 cycles, 24 MACs, 3 broadcasts."""
    layer = depthwise(tmp_path, 8, half_normal(72, 0.35, 0).reshape(1, 8, 3, 3))
    spec = eie_sim.Spec(n_pes=4)
    run = eie_sim.simulate(eie_sim.encode(layer, spec), layer.activations, spec, engine=engine)
    assert (run.cycles, run.actions["macs"], run.actions["broadcasts"]) == (43, 25, 25)


@pytest.mark.parametrize("engine", eie_sim.MACHINE.engines)
@pytest.mark.parametrize("width", [3, 5])
def test_thirty_two_channels_with_all_inputs_active(tmp_path, width, engine):
    """Known from outside: 298 cycles a position with a bias on 16 PEs, of which a map of 3 x 5 has three."""
    layer = depthwise(tmp_path, 32, np.ones((1, 32, 3, width), np.float32), **{"dw.bias": np.ones(32, np.float32)})
    assert (layer.positions, layer.groups) == (width - 2, 32)
    spec = eie_sim.Spec(n_pes=16)
    (signal,) = inputs_of(layer)
    run = played(eie_sim.MACHINE.simulate, eie_sim.encode(layer, spec), signal, spec, engine=engine)
    assert run.cycles == 298 * layer.positions
