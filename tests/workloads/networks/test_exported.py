"""Does onnxruntime give what modules in a row give, once they are an ONNX model?"""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from tests.onnx_models import onnx, reference
from workloads import BadInput
from workloads.networks.exported import as_onnx
from workloads.networks.modules import Conv1d, Conv2d, Linear, Module
from workloads.networks.nets import convnet, mlp, resnet
from workloads.networks.sequential import GELU, AvgPool2d, Flatten, Sequential, with_statistics

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


IMAGES = normal(5, 2, 9, 9)
NETWORKS = {
    "mlp": (mlp((6, 8, 3), seed=0), normal(7, 6)),
    "convnet": (with_statistics(convnet((2, 9, 9), (4, 5), 3, seed=0), IMAGES), IMAGES),
    "residual": (with_statistics(resnet((2, 9, 9), (4, 5), 3, seed=0), IMAGES), IMAGES),
    "strides, means and GELU": (
        Sequential(
            {
                "conv": Conv2d(weights=normal(4, 2, 3, 3), bias=normal(4), stride=2, padding=1),
                "gelu": GELU(),
                "pool": AvgPool2d(2),
                "flatten": Flatten(),
                "ip": Linear(weights=normal(3, 16)),
            }
        ),
        IMAGES,
    ),
    "one axis": (
        Sequential({"conv": Conv1d(weights=normal(3, 2, 3)), "flat": Flatten(), "ip": Linear(weights=normal(2, 12))}),
        normal(4, 2, 6),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_gives_what_the_modules_give(name):
    network, inputs = NETWORKS[name]
    model = as_onnx(network, inputs.shape[1:])
    onnx.checker.check_model(model, full_check=True)
    (outputs,) = reference(model, {"input": inputs}, "output")
    np.testing.assert_allclose(outputs, network.forward(inputs), rtol=1e-4, atol=1e-5)


def test_a_module_that_onnx_lacks_is_named():
    with pytest.raises(BadInput, match="module 'own' must be one that ONNX has, got Module"):
        as_onnx(Sequential({"own": Module()}), (3,))
