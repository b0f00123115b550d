"""Is every timing rule met to the tick: not one early, not one late? Each table was drawn by hand from S1-S8.

A dense one-pass mma (k8) holds its tensor core for 40 ticks and completes after 177; with two passes (k16) 80 and 247.
"""

from dataclasses import replace

import pytest

from tensorcore_sim.sm import program as p
from tensorcore_sim.sm.microbenchmark import ENGINES
from tensorcore_sim.spec import PRESETS
from workloads.errors import BadInput

A100, H800 = PRESETS["a100-sxm-80gb"], PRESETS["h800-pcie"]
K8, K16 = p.mma("mma.m16n8k8", "f16", A100), p.mma("mma.m16n8k16", "f16", A100)
SPARSE_K16 = p.mma("mma.sp.m16n8k16", "f16", A100)
X1, X4 = p.load("ldmatrix.x1", A100), p.load("ldmatrix.x4", A100)


def play(engine, *warps, spec=A100):
    return ENGINES[engine](p.program(warps, spec))


def needing(operation, needs):
    return replace(operation, needs=needs)


def idle(n):
    """Return n warps that do nothing: they put the next one on another sub-core."""
    return [[]] * n


def test_independent_instructions_issue_an_interval_apart(engine):
    timeline = play(engine, [K8, K8, K16, K8])
    assert timeline.ready.tolist() == [[0, 10, 50, 90]]  # a cycle after the one before
    assert timeline.issued.tolist() == [[0, 40, 80, 160]]
    assert timeline.completed.tolist() == [[177, 217, 80 + 247, 160 + 177]]
    assert timeline.ticks == 337


def test_a_chain_issues_when_the_result_is_there(engine):
    timeline = play(engine, [K8, needing(K8, 0), needing(K16, 1), needing(K8, 2)])
    assert timeline.ready.tolist() == [[0, 177, 354, 354 + 247]]
    assert timeline.issued.tolist() == timeline.ready.tolist()


def test_a_small_sparse_instruction_keeps_to_the_floor_and_a_large_one_is_above_it(engine):
    large = p.mma("mma.sp.m16n8k32", "f16", A100)
    timeline = play(engine, [SPARSE_K16, SPARSE_K16, large, K8])
    assert timeline.issued.tolist() == [[0, 62, 124, 204]]
    # The passes of the dense instruction of half the k: selection adds no time.
    assert (timeline.completed - timeline.issued).tolist() == [[177, 177, 247, 177]]


def test_the_rate_of_the_format_sets_the_passes():
    # m * n * k multiply-adds over a quarter of the SM's rate, in passes of four cycles
    for name, in_dtype, n_passes in (
        ("mma.m16n8k8", "tf32", 2),  # 1,024 at 128 a cycle: 8 cycles
        ("mma.m16n8k32", "int8", 2),  # 4,096 at 512
        ("mma.m8n8k16", "int8", 1),  # 1,024 at 512 are 2 cycles, but a pass takes 4: half the rate
        ("mma.m16n8k64", "int4", 2),
        ("mma.m16n8k256", "b1", 2),
        ("mma.sp.m16n8k128", "int4", 2),
        ("mma.sp.m16n8k8", "tf32", 1),
    ):
        assert p.mma(name, in_dtype, A100).latency == 177 + 70 * (n_passes - 1), name


def test_sub_cores_do_not_hold_each_other_up(engine):
    timeline = play(engine, [K8, K8], [K8, K8])
    assert timeline.issued.tolist() == [[0, 40], [0, 40]]


def test_the_warp_that_issued_longest_ago_goes_first(engine):
    # One sub-core. A and B have four independent instructions, C a chain of two, whose second is ready at 80 + 177.
    # core: A 0 | B 40 | C 80 | A 120 | B 160 | A 200 | B 240 | at 280 A (200), B (240) and C (80) could: C | A 320 | B
    rest = idle(3)
    timeline = play(engine, [K8] * 4, *rest, [K8] * 4, *rest, [K8, needing(K8, 0)])
    assert timeline.issued[0].tolist() == [0, 120, 200, 320]
    assert timeline.issued[4].tolist() == [40, 160, 240, 360]
    assert timeline.issued[8].tolist()[:2] == [80, 280]
    assert timeline.ready[8].tolist()[:2] == [0, 257]


def test_a_scheduler_sends_one_instruction_a_cycle_whatever_its_unit(engine):
    # sub-core 0: warp 0's mma at 0, warp 4's load at 10, warp 0's load at 20: none of them waits for the tensor core
    timeline = play(engine, [K16, X1], *idle(3), [X1])
    assert timeline.issued[0].tolist() == [0, 20]
    assert timeline.issued[4].tolist() == [10, -1]
    assert timeline.ready[0].tolist() == [0, 10]


def test_the_port_serves_four_sub_cores_in_turn_a_pass_a_cycle(engine):
    # all four arrive at 10; the port takes 40 ticks each; 29 cycles from issue to completion for the one not waiting
    timeline = play(engine, [X4], [X4], [X4], [X4])
    assert timeline.served.tolist() == [[10], [50], [90], [130]]
    assert timeline.completed.tolist() == [[290], [330], [370], [410]]


def test_the_port_serves_in_order_of_arrival(engine):
    # warp 0: a load at 0, its second at 10; warp 1: one load behind an mma, at 10 too. Arrivals 10, 20, 20.
    timeline = play(engine, [X4, X1], [K8, X1])
    assert timeline.served.tolist() == [[10, 50], [0, 60]]


def test_bank_conflicts_cost_a_pass_each(engine):
    for n_ways, latency, next_served in ((1, 230, 20), (2, 250, 30), (8, 370, 90)):
        timeline = play(engine, [p.load("ld.shared.u32", A100, n_ways), X1])
        assert timeline.completed[0, 0] == latency
        assert timeline.served[0, 1] == next_served


def test_an_iteration_closes_on_its_first_result_or_on_the_core_whichever_is_later(engine):
    # two chains: the core is free at 80, the first result is there at 177; then 26 ticks
    timeline = play(engine, [K8, K8, p.close(A100, 1, needs=0), needing(K8, 0)])
    assert timeline.issued.tolist() == [[0, 40, 177, 203]]
    # five chains: the first result at 177, the core free at 200
    timeline = play(engine, [*[K8] * 5, p.close(A100, 1, needs=0), needing(K8, 0)])
    assert timeline.issued[0, 5:].tolist() == [200, 226]


def test_two_warps_of_a_sub_core_share_the_closing(engine):
    # A 0 | B 80 | A 160 | B 240 | A closes 320 | A 324 | B closes 404 (its first result: 80 + 247 = 327) | B 408
    iteration = [K16, K16, p.close(A100, 2, needs=0), needing(K16, 0)]
    timeline = play(engine, iteration, *idle(3), iteration)
    assert timeline.issued[0].tolist() == [0, 160, 320, 324]
    assert timeline.issued[4].tolist() == [80, 240, 404, 408]


def test_wgmma_goes_on_at_once_and_streams_an_interval_apart(engine):
    # m64n256k16 SS: 64 * 256 * 16 / 2048 = 128 cycles of multiply-adds, (2 + 8 KiB) / 128 = 80 of the port
    one = p.wgmma("wgmma.m64n256k16", "f16", H800)
    timeline = play(engine, [one] * 3, spec=H800)
    assert timeline.issued.tolist() == [[0, 10, 20]]
    assert timeline.served.tolist() == [[10, 1290, 2570]]
    assert timeline.completed.tolist() == [[1290, 2570, 3850]]


@pytest.mark.parametrize(
    ("name", "a_from", "interval"),
    [
        ("wgmma.m64n64k16", "shared", 320),  # the port: 16 + 16 cycles; the multiply-adds: 32
        ("wgmma.m64n32k16", "shared", 240),  # the port: 16 + 8
        ("wgmma.m64n8k16", "shared", 180),  # the port: 16 + 2
        ("wgmma.m64n8k16", "registers", 134),  # the floor
        ("wgmma.m64n32k16", "registers", 160),  # the multiply-adds
        ("wgmma.sp.m64n256k32", "shared", 1440),  # the port: 16 for the compressed A + 128
        ("wgmma.sp.m64n256k32", "registers", 1280),  # both 128
    ],
)
def test_wgmma_waits_for_the_port_the_multiply_adds_or_the_floor(engine, name, a_from, interval):
    timeline = play(engine, [p.wgmma(name, "f16", H800, a_from)] * 3, spec=H800)
    assert timeline.served.tolist() == [[10, 10 + interval, 10 + 2 * interval]]


def test_a_load_behind_a_wgmma_waits_for_its_bytes_and_one_that_needs_it_for_its_end(engine):
    # wgmma served 10, port until 810, end at 1290
    one = p.wgmma("wgmma.m64n256k16", "f16", H800)
    timeline = play(engine, [one, X1, needing(X1, 0)], spec=H800)
    assert timeline.served.tolist() == [[10, 810, 1300]]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: p.program([[needing(K8, 0)]], A100), "needs must name an operation before its own"),
        (lambda: p.mma("wgmma.m64n8k16", "f16", A100), "must be mma or mma.sp, which are timed on a100"),
        (lambda: p.mma("mma.m16n8k16", "f16", H800), "must be wgmma or wgmma.sp"),
        (lambda: p.mma("mma.m16n8k32", "e4m3", A100), "there is no|not one of"),
        (lambda: p.mma("mma.m16n8k17", "f16", A100), "instruction must be mma.m16n8k8 or mma.m16n8k16"),
        (lambda: p.wgmma("wgmma.m64n8k16", "f16", H800, "l2"), "a_from must be shared or registers, got 'l2'"),
        (lambda: p.load("ldmatrix.x3", A100), "load must be ldmatrix.x1"),
        (lambda: p.load("ld.shared.u32", A100, 33), "n_ways must be from 1 to 32"),
        (lambda: p.load("ldmatrix.x1", A100, 2), "n_ways must be 1 for ldmatrix.x1"),
        (lambda: p.mma("mma.m16n8k8", "f16", A100.replace(pass_cycles=4.01)), "pass_cycles must be a whole number of"),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(BadInput, match=says):
        make()
