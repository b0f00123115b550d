"""A network on a design, whose layers have a knob each: what a choice costs there, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cyclekit.budgets.costs import Costs, Watch, unwatched
from cyclekit.machine import Machine
from workloads.allocation.table import Choice, Table
from workloads.errors import BadInput
from workloads.graphs import rewrite
from workloads.networks import exported
from workloads.networks.sequential import Sequential
from workloads.recipes.recipe import Fitted, Recipe
from workloads.recipes.repair import Recalibrate, Tune
from workloads.recipes.state import Step
from workloads.records import Shape
from workloads.tasks import Task

N_EVALUATED = 1000  # inputs that a choice is tried on, the first of those calibrated on
N_RECALIBRATED = 1000  # others that statistics are re-estimated on for that
N_SHORT = 2000  # inputs of a short tuning


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A network of a task on a design, what of its layers can be turned, and what that costs in a metric.

    batch: inputs that enter a machine, of those calibrated on. epochs: of the last tuning; 0 where nothing is tuned.
    recalibrates: whether the statistics of batch normalisations are re-estimated behind each cut. analysis: the file in
    which the accuracy with each layer alone at each level is kept. into, n_workers, watch: as Costs has them.
    A subclass names its unit and says uncut, of a choice start, lowered and finished, and of a cut network network_of,
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
    recalibrates: bool = False
    analysis: Path | None = None
    into: str | Path | None = None
    n_workers: int | None = None
    watch: Watch = unwatched
    _values: dict = field(default_factory=dict, repr=False)

    @property
    def can_tune(self) -> bool:
        """Whether the network learns here."""
        return self.epochs > 0 and isinstance(self.task.network, Sequential) and self.task.labels is not None

    @property
    def n_judged(self) -> int:
        """How many inputs a choice is tried on; of few inputs half, where statistics are re-estimated on the others."""
        n = len(self.task.inputs)
        return min(N_EVALUATED, n // 2 if self.recalibrates else n)

    @property
    def judged(self) -> Sequence[np.ndarray | None]:
        """The inputs and labels that a choice is tried on."""
        return self.task.inputs[: self.n_judged], self.task.labels[: self.n_judged]

    @property
    def others(self) -> dict[str, int]:
        """What `fit` takes, so that a choice is made ready on other inputs than those that it is tried on."""
        return {"n": N_RECALIBRATED, "after": self.n_judged} if self.recalibrates else {}

    def fit(
        self, network: Any, steps: Sequence[Step] = (), *, epochs: int = 0, n: int | None = None, after: int = 0
    ) -> Fitted:
        """Return a network after some steps, `recalibrate` where asked for and, where it learns here, `tune`.

        All on the n inputs (None: all) behind `after` others. There must be a step of any kind.
        """
        behind: list[Step] = [Recalibrate()] if self.recalibrates else []
        behind += [Tune(epochs=epochs)] if epochs and self.can_tune else []
        task = replace(self.task.first(n, after=after), network=network)
        return task.fit(Recipe(steps=(*steps, *behind), seed=self.seed))

    @property
    def is_even(self) -> bool:
        """Whether all levels are shares of one kind, so that one for all layers means something."""
        return True

    def patterns_of(self, cut: Any) -> dict[str, str]:
        """Return {layer: the N:M that its weights obey} of those of a cut network that do."""
        return {}

    @property
    def costs(self) -> Costs:
        """What layers cost here; of a knob and of what it is replaced by the same."""
        if "costs" not in self._values:
            options = {"into": self.into, "n_workers": self.n_workers, "watch": self.watch}
            self._values["costs"] = Costs(machine=self.chosen, spec=self.spec, metric=self.metric, **options)
        return self._values["costs"]

    def shape(self, n_out: int, n_in: int, positions: int, groups: int = 1) -> Shape:
        """Return a layer's product, its positions side by side; of the name by which `zeroskip sweep` knows it."""
        n = self.batch * positions
        name = f"{n_out // groups}x{n}x{n_in // groups}"
        return Shape(name=f"{groups}*{name}" if groups > 1 else name, n_out=n_out, n_in=n_in, batch=n, groups=groups)

    def costs_of(self, shapes: Iterable[Shape], changes: Mapping[str, Any] | None = None) -> dict[Shape, float]:
        """Return {shape: cost} on the design with some fields changed; equal ones are simulated once."""
        shapes = list(dict.fromkeys(shapes))
        costs = self.costs.of((self.costs.work(shape, shape.name) for shape in shapes), changes)
        return {shape: costs[shape.name] for shape in shapes}

    def check_judged(self) -> None:
        """Raise BadInput where no choice can be tried: there are no labels of the inputs calibrated on."""
        if self.task.measure != "accuracy" or self.task.labels is None:
            raise BadInput(
                f"network {self.task.name!r} has no labels to be judged by here: take the method knapsack or uniform"
            )

    def value_of(self, network: Any) -> float:
        """Return the accuracy on the first n_judged inputs calibrated on. Raises BadInput where there is none."""
        self.check_judged()
        return network.accuracy(self.task.inputs[: self.n_judged], self.task.labels[: self.n_judged])

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
        """Return the accuracy at a choice, not tuned. Raises BadInput where there is none."""
        if self.recalibrates:
            self.check_judged()
        key = self.recalibrates, *choice.values()
        if key not in self._values:
            self._values[key] = self.value_of(self.network_of(self.start(choice)))
        return self._values[key]
