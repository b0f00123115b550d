"""A network on a design, whose layers have a knob each: what a choice costs there, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from cyclekit.budgets.budget import measure
from cyclekit.machine import Machine, Progress, quiet, run_through
from workloads.allocation.table import Choice, Table
from workloads.errors import BadInput
from workloads.graphs import rewrite
from workloads.networks import exported
from workloads.networks.sequential import Sequential
from workloads.records import Shape, Workload
from workloads.tasks import Task

N_EVALUATED = 1000  # inputs that a choice is tried on, of those calibrated on
N_SHORT = 2000  # inputs of a short tuning


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A network of a task on a design, what of its layers can be turned, and what that costs in a metric.

    batch: inputs that enter a machine, of those calibrated on. epochs: of the last tuning; 0 where nothing is tuned.
    A subclass names its unit and says, of a choice, start, lowered and finished, and of a cut network, network_of,
    layer_costs, workloads and levels_of; _table is what each layer costs and loses at each of its levels.
    """

    unit: ClassVar[str]
    task: Task
    chosen: Machine
    spec: Any
    metric: str
    batch: int
    seed: int = 0
    epochs: int = 3
    progress: Progress = quiet
    _values: dict = field(default_factory=dict, repr=False)

    @property
    def can_tune(self) -> bool:
        """Whether the network learns here."""
        return self.epochs > 0 and isinstance(self.task.network, Sequential) and self.task.labels is not None

    def cost_of(self, layers: list[Workload | Shape]) -> dict[str, float]:
        """Return {layer: cost}: the mean of an input on a machine that takes one, else of the batch."""
        read, costs = measure(self.chosen, self.metric), {}
        for layer in layers:
            spec = self.chosen.suited(layer, self.spec) if isinstance(layer, Workload) else self.spec
            own, inputs = self.chosen.layers_and_inputs(layer)
            images = self.chosen.encode(own, spec)
            runs = list(run_through(self.chosen.simulate, images, inputs, spec, engine=self._engine))
            costs[layer.name] = sum(map(read, runs)) / len(runs)
        return costs

    @property
    def _engine(self) -> str:
        return self.chosen.engine(
            self.chosen.sweep_engine or ("schedule" if "schedule" in self.chosen.engines else None)
        )

    def value_of(self, network: Any) -> float:
        """Return the accuracy of a network on the first inputs calibrated on. Raises BadInput where there is none."""
        if self.task.measure != "accuracy" or self.task.labels is None:
            raise BadInput(
                f"network {self.task.name!r} has no labels to be judged by here: take --method knapsack or uniform"
            )
        return network.accuracy(self.task.inputs[:N_EVALUATED], self.task.labels[:N_EVALUATED])

    def quality(self, network: Any) -> float | None:
        """Return the task's measure of a network on inputs held out, or of a graph on its own."""
        return self.task.quality(network)

    def as_onnx(self, cut: Any) -> Any:
        """Return the onnx.ModelProto of a cut network: modules in a row, or a graph with new weights."""
        if self.task.graph is None:
            return exported.as_onnx(self.network_of(cut), self.task.inputs.shape[1:])
        return rewrite.with_weights(self.task.graph, {layer.name: layer for layer in self.network_of(cut).layers})

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the knob: which layers it turns together, and which it leaves alone, and why."""
        return []

    def cost_of_network(self, cut: Any) -> float:
        """Return what a cut network costs, all its layers together."""
        return sum(self.layer_costs(cut).values())

    def table(self) -> Table:
        """Return what each layer costs and loses at each of its levels; made once."""
        if "table" not in self._values:
            self._values["table"] = self._table()
        return self._values["table"]

    def evaluate(self, choice: Choice) -> float:
        """Return the accuracy at a choice, not tuned."""
        key = tuple(choice.values())
        if key not in self._values:
            self._values[key] = self.value_of(self.network_of(self.start(choice)))
        return self._values[key]
