"""A user's own machine, in a package of its own: one unit that takes a cycle for every weight, zeros included."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from cyclekit.machine import Demo, Explanation, Machine, check_place
from cyclekit.run import Run, identity
from cyclekit.spec import Spec as BaseSpec
from cyclekit.spec import number, switch
from cyclekit.trace.tracks import Track
from cyclekit.validation import Comparison, Validation


@dataclass(frozen=True, kw_only=True)
class Spec(BaseSpec):
    clock_mhz: float = number(100.0, "clock frequency", source="made up", minimum=1)
    expected_s: float = number(0.0, "seconds that a run claims to take", source="made up")
    wrong: bool = switch(False, "compute something else than asked", source="made up")


def simulate(layer, activations, spec, *, engine, check, index, progress):
    activations = getattr(activations, "outputs", activations)
    outputs = layer.weights @ activations + spec.wrong
    cycles = layer.weights.size
    return Run(
        machine="toy",
        workload=layer.name,
        input=index,
        engine=engine,
        spec=spec.as_dict(),
        id=identity("toy", spec.as_dict(), layer.weights, activations),
        cycles=cycles,
        time_us=cycles / spec.clock_mhz,
        load_balance=1.0,
        actions={"macs": cycles},
        states={"unit": {"busy": cycles}},
        output_sha256=hashlib.sha256(outputs.tobytes()).hexdigest(),
        check={"passed": bool(np.allclose(outputs, layer.weights @ activations)), "error": 0.5} if check else None,
        outputs=outputs,
    )


class State(IntEnum):
    BUSY = 0


def spans(run, layer, spec, *, begin, end, n_units):
    state, edges = np.zeros(1, int), np.array([0, run.cycles])
    yield Track.within(begin, end, kind="unit", name="the unit", states=State, state=state, edges=edges)


def validate(progress):
    progress("the one point", 0, 1)
    point = {"source": "Table I", "quantity": "time", "unit": "us", "layer": "one", "setting": "", "kind": "made up"}
    return Validation(
        machine="toy", comparisons=(Comparison(**point, published=2.0, simulated=3.0),), footnotes=("a footnote",)
    )


def draw_validation(validation, folder):
    (folder / "toy.txt").write_text(validation.machine)
    return [folder / "toy.txt"]


def demo(folder, *, progress):
    return Demo(built="a toy", right="nothing to check", remember={}, further=(), figures=[], passed=True)


def explain(layer, spec, row, column):
    check_place(layer, row, column)
    cell = {"row": str(row), "column": str(column), "weight": f"{layer.weights[row, column]:g}"}
    return Explanation(tables={f"One weight of {layer.name}": [cell]}, remarks=[f"at {spec.clock_mhz:g} MHz"])


MACHINE = Machine(
    name="toy",
    title="a toy",
    spec=Spec,
    presets={"slow": Spec(), "fast": Spec(clock_mhz=200)},
    preset_notes={"slow": "100 MHz", "fast": "200 MHz"},
    engines=("only",),
    encode=lambda layers, spec: layers,
    simulate=simulate,
    estimate=lambda layers, spec, *, engine, check: (spec.expected_s, 5_000_000),
    validate=validate,
    draw_validation=draw_validation,
    demo=demo,
    explain=explain,
    spans=spans,
    stored=lambda layer, spec: {"values": float(layer.weights.nbytes)},
    suited=lambda layer, spec: spec,
    costs={"validate": (0.1, 1e6), "demo": (0.1, 1e6)},
)
