"""Gradients of a network's parameters, held against what small changes of each do to the loss."""

from collections.abc import Callable

import numpy as np
import pytest

from workloads.networks.sequential import Sequential

CHANGE = 1e-6


def assert_gradients(network: Sequential, run: Callable[[], tuple], every: int) -> None:
    """Hold run()'s (loss, {module: {parameter: gradient}}) at every n-th value; the parameters are float64."""
    _, gradients = run()
    for name, module in network.modules.items():
        for key, array in module.parameters.items():
            for place in list(np.ndindex(array.shape))[::every]:
                ends, before = [], array[place]
                for sign in (1, -1):
                    array[place] = before + sign * CHANGE
                    ends.append(run()[0])
                array[place] = before
                assert gradients[name][key][place] == pytest.approx(
                    (ends[0] - ends[1]) / (2 * CHANGE), rel=1e-4, abs=1e-6
                )
