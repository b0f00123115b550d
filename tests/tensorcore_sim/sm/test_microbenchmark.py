"""Does the microbenchmark measure what it says: a steady state, one instruction's latency, in either engine?"""

from dataclasses import replace

import pytest

from tensorcore_sim import latency, throughput
from tensorcore_sim.sm import program as p
from tensorcore_sim.sm.microbenchmark import ENGINES
from tensorcore_sim.spec import PRESETS
from workloads.errors import BadInput

A100, H800 = PRESETS["a100-sxm-80gb"], PRESETS["h800-pcie"]


def test_latency_is_one_instructions_own(engine):
    assert latency("mma.m16n8k8", A100, engine=engine) == 17.7
    assert latency("mma.m16n8k16", A100, engine=engine) == 24.7
    assert latency("mma.sp.m16n8k32", A100, engine=engine) == 24.7
    assert latency("ldmatrix.x2", A100, engine=engine) == 25
    assert latency("ld.shared.u32", A100, n_ways=32, engine=engine) == 85
    assert latency("wgmma.m64n256k16", H800, engine=engine) == 1 + 128  # a cycle to the port


def test_a_chain_of_one_warp_takes_its_latency_and_the_closing(engine):
    found = throughput("mma.m16n8k16", A100, n_warps=1, engine=engine)
    assert found.period_cycles == pytest.approx(24.7 + 2.6)
    assert found.fma_per_cycle == pytest.approx(2048 / 27.3)


def test_without_closing_two_warps_issue_exactly_an_interval_apart(engine):
    # Two chains each of k16: 4 x 8 cycles cover the latency. Favouring the lowest warp, or timing to the last warp's
    # end, loses several percent here for no reason.
    one = p.mma("mma.m16n8k16", "f16", A100)
    chains = [replace(one, needs=i - 2) if i >= 2 else one for i in range(40)]
    timeline = ENGINES[engine](p.program([chains, [], [], [], chains], A100))
    issued = sorted(timeline.issued[0].tolist() + timeline.issued[4].tolist()[:40])
    assert issued == list(range(0, 80 * 80, 80))
    assert timeline.issued[0].tolist() == issued[::2]


@pytest.mark.parametrize("name", ["mma.m16n8k16", "mma.m16n8k8", "mma.sp.m16n8k16", "ldmatrix.x1"])
def test_more_warps_or_chains_never_lower_the_throughput(name):
    counts, chains = (1, 3, 4, 5, 7, 8, 12), (1, 2, 3, 5)
    reached = {}
    for n_warps in counts:
        for ilp in chains:
            found = throughput(name, A100, n_warps=n_warps, ilp=ilp)
            reached[n_warps, ilp] = found.fma_per_cycle or found.bytes_per_cycle
    # Warps that share the port at unequal rates have periods that do not divide the window.
    slack = 1 - 5e-4 if name.startswith("ld") else 1 - 1e-12
    for (n_warps, ilp), rate in reached.items():
        more = [other for (w, i), other in reached.items() if w >= n_warps and i >= ilp]
        assert min(more) >= slack * rate, (n_warps, ilp)


def test_no_throughput_is_above_the_cards():
    for name, peak in (("mma.m16n8k16", 1024), ("mma.sp.m16n8k32", 2048), ("mma.sp.m16n8k16", 2048 * 4 / 6.2)):
        assert 0.99 * peak <= throughput(name, A100, n_warps=16, ilp=8).fma_per_cycle <= peak
    assert throughput("wgmma.m64n256k16", H800, n_warps=2).fma_per_cycle == pytest.approx(2048)
    assert throughput("wgmma.sp.m64n256k32", H800).fma_per_cycle == pytest.approx(4096 * 128 / 144)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n_warps": 0}, "n_warps must be a whole number from 1 to 64, got 0"),
        ({"n_warps": 65}, "n_warps must be a whole number from 1 to 64, got 65"),
        ({"ilp": 1.5}, "ilp must be a whole number from 1 to 64, got 1.5"),
        ({"engine": "event"}, "unknown engine 'event', did you mean 'events'"),
        ({"in_dtype": "f8"}, "there is no mma for f8 on a100"),
    ],
)
def test_bad_input_is_named(arguments, says):
    with pytest.raises(BadInput, match=says):
        throughput("mma.m16n8k16", A100, **arguments)
