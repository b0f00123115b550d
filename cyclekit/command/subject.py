"""What the verbs that compress work on: the network that their options name, and its layers before and after."""

from __future__ import annotations

from argparse import Namespace

from workloads import tasks
from workloads.recipes.recipe import Fitted
from workloads.tasks import Task


def task_of(options: Namespace) -> Task:
    """Return the network that the options name, with the inputs to calibrate on that they name."""
    task = tasks.load(options.network)
    return task.first(options.inputs) if options.calibration is None else task.calibrated(options.calibration)


def layers_of(task: Task, fitted: Fitted, batch: int) -> tuple[list, list]:
    """Return the layers as they were made and as they were, with what reaches them of the first test inputs."""
    inputs = task.test_inputs if task.inputs is not None else None
    return fitted.workloads(inputs, batch, task.provenance), fitted.dense_workloads(inputs, batch, task.provenance)
