"""Does no run beat its bounds, and does no better design run longer?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eie_sim import Spec, encode
from eie_sim.bounds import bounds
from tests import eie_cases
from tests.eie_cases import layer, play


@settings(max_examples=100)
@given(eie_cases.workloads(), eie_cases.specs())
def test_no_timeline_beats_the_bounds(workload, spec):
    assert play("schedule", workload, spec).cycles >= max(
        bounds(encode(workload, spec), workload.activations[0] != 0, spec)
    )


def test_one_pe_with_full_columns_meets_its_bound():
    workload, spec = layer([[3, 1, 4]]), Spec(n_pes=1)
    found = bounds(encode(workload, spec), np.ones(3, bool), spec)
    assert found.busiest_pe == found.work == 2 + 8 + 6 == play("schedule", workload, spec).cycles
    assert found.broadcaster == 3 + 1 + 4 + 6  # third send in 3, pop in 4, four entries, drain


def test_empty_columns_at_the_end_are_no_part_of_a_bound():
    found = bounds(encode(layer([[1, 0, 0]]), Spec(n_pes=1)), np.ones(3, bool), Spec(n_pes=1))
    assert found == (2 + 1 + 6, 2 + 1 + 6, 1 + 1 + 1 + 6)


BETTER = {
    "queue_depth": st.integers(2, 8),
    "broadcast_latency_cycles": st.integers(0, 4).map(lambda n: 4 - n),
    "lnzd_latency_cycles": st.integers(0, 4).map(lambda n: 4 - n),
    "n_pointer_banks": st.integers(1, 2),
}


@settings(max_examples=100)
@given(eie_cases.workloads(), st.data(), st.sampled_from(sorted(BETTER)))
def test_a_better_design_never_runs_longer(workload, data, field):
    values = sorted({data.draw(BETTER[field]) for _ in range(2)})
    best_last = values if field in ("queue_depth", "n_pointer_banks") else values[::-1]
    base = Spec(n_pes=data.draw(st.integers(1, 6)), queue_depth=3)
    cycles = [play("schedule", workload, base.replace(**{field: value})).cycles for value in best_last]
    assert cycles == sorted(cycles, reverse=True)


@settings(max_examples=60)
@given(eie_cases.workloads(), st.integers(1, 5))
def test_a_wider_spmat_row_never_costs_a_read_nor_a_cycle(workload, n_pes):
    timelines = [
        play("schedule", workload, Spec(n_pes=n_pes, spmat_width_bits=width)) for width in (8, 16, 32, 64, 512)
    ]
    reads = [int(timeline.row_reads.sum()) for timeline in timelines]
    assert reads == sorted(reads, reverse=True)
    assert len({timeline.cycles for timeline in timelines}) == 1
