"""The step that brings a network within a budget of a machine; the machine is handed in, none is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from workloads.errors import BadInput
from workloads.recipes.state import Allocator, State, Step, whole


@dataclass(frozen=True, kw_only=True)
class Adapt(Step):
    """Bring the network within a budget of simulated cost as `zeroskip adapt` does, on the design of a machine.

    machine: NAME or NAME:PRESET; set: {field: value} that the design has instead. budget: a share of the time that the
    network takes as it was given, or an amount with its unit. batch: inputs that enter the machine. epochs: of the last
    tuning; 0: none. Works on the whole network: targets and ignore are not for it.
    """

    machine: str | None = None
    budget: str | float | None = None
    method: str = "netadapt"
    set: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 16
    epochs: int = 3
    do: ClassVar[str] = "adapt"

    def __post_init__(self):
        super().__post_init__()
        if self.targets != ("*",) or self.ignore:
            raise BadInput("targets and ignore are not for adapt, which looks at the whole network")
        if not isinstance(self.machine, str):
            raise BadInput(f"machine must be a name, such as 'eie' or 'tensorcore:h100-sxm', got {self.machine!r}")
        if isinstance(self.budget, bool) or not isinstance(self.budget, str | int | float):
            raise BadInput(f"budget must be a share, such as 0.5, or an amount, such as '123us', got {self.budget!r}")
        if not isinstance(self.method, str):
            raise BadInput(f"method must be a name, such as 'knapsack', got {self.method!r}")
        if not isinstance(self.set, Mapping):
            raise BadInput(f"set must be fields of the design, such as {{n_pes = 16}}, got {self.set!r}")
        whole("batch", self.batch, 1, 10**9)
        whole("epochs", self.epochs, 0, 10**6)

    def check(self, state: State) -> None:
        self._allocator(state).check(self)

    def apply(self, state: State) -> State:
        state.check_free(state.current.matrices)
        if state.bits:
            raise BadInput("adapt takes weights that are not shared by now: put share behind it")
        return self._allocator(state)(self, state)

    def notes(self, before: State, behind: State) -> list[str]:
        return list(behind.adapted)

    @staticmethod
    def _allocator(state: State) -> Allocator:
        if state.allocator is None:
            raise BadInput("adapt takes a simulated machine, which `zeroskip prune` and zeroskip.prune hand in")
        return state.allocator
