"""Random programs for an SM, far from any real instruction: short and long holds, all kinds, any dependencies."""

from hypothesis import strategies as st

from tensorcore_sim.sm import program as p
from tensorcore_sim.spec import PRESETS

KINDS = tuple(p.Kind)


@st.composite
def operations(draw, index: int, kinds) -> p.Operation:
    kind = draw(st.sampled_from(kinds))
    hold = 0 if kind == p.Kind.LOAD else draw(st.integers(1, 60))
    latency = {p.Kind.MMA: st.integers(max(21, hold), 120), p.Kind.CLOSE: st.just(hold)}.get(kind, st.integers(1, 120))
    return p.Operation(
        kind=kind,
        hold=hold,
        floor=draw(st.integers(0, hold)) if kind in (p.Kind.MMA, p.Kind.WGMMA) else 0,
        port=draw(st.integers(1, 40)),
        latency=draw(latency),
        needs=draw(st.integers(p.NOTHING, index - 1)),
    )


@st.composite
def programs(draw, kinds=KINDS) -> p.Program:
    warps = [
        [draw(operations(index, kinds)) for index in range(draw(st.integers(0, 6)))]
        for _ in range(draw(st.integers(1, 8)))
    ]
    return p.program(warps, PRESETS["a100-sxm-80gb"].replace(n_subcores=draw(st.integers(1, 4))))
