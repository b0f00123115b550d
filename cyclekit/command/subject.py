"""What the verbs work on: the workload or network that their options name, and a network's layers before and after."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

import workloads
from cyclekit.command.arguments import feed_of
from cyclekit.terminal import announce
from workloads import address
from workloads.errors import BadInput
from workloads.records import Model, Network, Shape, Workload

if TYPE_CHECKING:
    from workloads.recipes.recipe import Fitted
    from workloads.tasks import Task


def announce_reading(*names: str) -> None:
    """Say what reading the files among the named workloads takes, where it is long or large."""
    for name in names:
        announce(*address.expected(name), f"to read {address.split(name)[0].name}")


def load(name: str, options: Namespace) -> Workload | Network | Model | Shape:
    """Return the named workload, fed as the options say; reading a large file is announced."""
    announce_reading(name)
    return workloads.load(name, feed_of(options))


def task_of(options: Namespace) -> Task:
    """Return the network that the options name, with the inputs to calibrate on that they name."""
    from workloads import tasks  # late: it brings all that trains and tunes

    announce_reading(options.network, *filter(None, [options.calibration]))
    feed = feed_of(options)
    if options.calibration is not None:
        if options.inputs is not None:
            raise BadInput("--inputs and --calibration say the same: give one of them")
        return tasks.load(options.network).calibrated(options.calibration)
    return tasks.load(options.network, feed)


def said_of(task: Task) -> list[str]:
    """Return what a reader must know of where a model's layers and inputs come from, and what of it is no layer."""
    return [task.provenance, *task.network.notes] if isinstance(task.network, Model) else []


def given_of(task: Task, fitted: Fitted, batch: int, dense: list) -> list:
    """Return the layers as they were given, with whose times others are compared: `dense` where nothing was cut."""
    if not fitted.is_cut:
        return dense
    return fitted.given_workloads(task.test_inputs, batch, task.provenance)


def layers_of(task: Task, fitted: Fitted, batch: int) -> tuple[list, list]:
    """Return the layers as they were made and as they were, with what reaches them of the first test inputs."""
    inputs = task.test_inputs if task.inputs is not None else None
    return fitted.workloads(inputs, batch, task.provenance), fitted.dense_workloads(inputs, batch, task.provenance)
