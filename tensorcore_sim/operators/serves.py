"""The card's face for whole models: what an operator costs, by its kind."""

from __future__ import annotations

from cyclekit.serving.cost import Cost, Serves
from tensorcore_sim.operators.all_reduce import all_reduce
from tensorcore_sim.operators.frameworks import framework
from tensorcore_sim.operators.gemms import formats, gemm
from tensorcore_sim.operators.kernels import attention, movement
from tensorcore_sim.spec import Spec
from workloads.records import Shape
from workloads.transformers.operators import AllReduce, Attention, Operator


def cost(operator: Operator, spec: Spec, cached_bits: int) -> Cost:
    """Return what one call of an operator takes on one card."""
    work = operator.work
    if isinstance(work, Shape):
        return gemm(work, spec)
    if isinstance(work, Attention):
        return attention(work, spec, cached_bits)
    if isinstance(work, AllReduce):
        return all_reduce(work, spec)
    return movement(operator.kind, work, spec)


SERVES = Serves(
    formats=formats,
    cost=cost,
    framework=framework,
    asked={"in_dtype": "weights", "int4_weights": "weights", "sparsity": "sparsity"},
    links="sums over cards: as measured over NVSwitch, whatever the card's links; what the links draw is not counted",
    memory_bytes=lambda spec: spec.memory_gib * 2**30,
    idle_w=lambda spec: spec.static_w,
    priced_by="the card's own power (fields pj_per_ghz, hbm_pj_per_bit_ghz, static_w), not by a table of prices",
)
