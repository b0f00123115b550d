"""Does a sparse convolution run on a card: its kernels in their parts, its values, its refusals?"""

import numpy as np
import pytest

from cyclekit.machine import layers_and_inputs
from tensorcore_sim import MACHINE, PRESETS, Problem, encode, energy, simulate, time_gemm
from tensorcore_sim.clouds import layer as clouds
from tensorcore_sim.clouds.published import compare
from tests.pointacc_cases import layer
from workloads import BadInput, Workload
from workloads.points import networks
from workloads.points.clouds import Cloud

CARD = PRESETS["rtx-2080-ti"]


def run_of(work, spec=CARD, **options):
    return simulate(encode(work, spec), None, spec, **options)


@pytest.mark.parametrize("dataflow", ["gather-scatter", "fetch-on-demand", "implicit-gemm"])
def test_values_hang_on_no_dataflow_and_are_near_float64(dataflow):
    work = layer(300, channels=(16, 24), side=10)
    run = run_of(work, CARD.replace(sparse_dataflow=dataflow), check=True)
    assert run.check["passed"]
    assert np.linalg.norm(run.outputs - work.forward()) / np.linalg.norm(work.forward()) < 1e-3
    assert run.output_sha256 == run_of(work).output_sha256


def test_the_parts_sum_to_the_whole_and_both_engines_agree():
    work = layer(300, channels=(16, 24), side=10)
    runs = [run_of(work, engine=engine) for engine in ("schedule", "events")]
    assert runs[0].states == runs[1].states
    assert sum(runs[0].states["card"].values()) == runs[0].cycles


def test_products_are_the_card_s_own_gemms():
    work = layer(300, channels=(16, 24), side=10)
    run = run_of(work, CARD.replace(grouping="symmetric"))
    sizes, expected = work.map.sizes, 0.0
    problems = [Problem(m=24, n=(int(sizes[i]),) * 2, k=16) for i in range(13) if sizes[i]]
    problems.append(Problem(m=24, n=int(sizes[13]), k=16))
    for problem in problems:
        expected += time_gemm(problem, CARD)[1].cycles
    assert run.states["card"]["product"] == pytest.approx(expected, abs=len(problems))
    assert run.measures["launches"] == len(problems) - 1


def test_channels_are_padded_to_sixteen_bytes():
    narrow, wide = (run_of(layer(200, channels=(n, 8))) for n in (5, 8))
    assert narrow.states["card"]["product"] == wide.states["card"]["product"]


def test_a_network_runs_and_costs_what_a_table_says():
    model = networks.build("minkunet-0.5", Cloud(name="tiny", coordinates=layer(80, side=20).map.inputs))
    runs = simulate(encode(model, CARD), None, CARD, check=True)
    assert len(runs) == 50
    assert all(run.check["passed"] for run in runs)
    assert energy(runs[0], "tpuv4i").total_pj > 0


def test_a_matrix_still_goes_the_way_of_gemms():
    work = Workload(name="w", weights=np.ones((8, 16)), activations=np.ones(16))
    layers, inputs = layers_and_inputs(work)
    assert "gemm" in simulate(encode(layers[0], CARD), inputs, CARD).measures


def test_formats_and_patterns_that_it_does_not_run_in_are_refused():
    with pytest.raises(BadInput, match="in_dtype must be one of f16, tf32, dense, for the sparse convolution 'layer'"):
        encode(layer(), CARD.replace(in_dtype="int8"))
    with pytest.raises(BadInput, match="dense, for the sparse convolution"):
        encode(layer(), PRESETS["a100-sxm-80gb"].replace(sparsity="2:4"))
    with pytest.raises(BadInput, match=r"features must be f32\[\d+, 4\] for layer, got shape \[2, 4\]"):
        simulate(encode(layer(), CARD), np.ones((2, 4)), CARD)
    with pytest.raises(BadInput, match="grouping must be one of"):
        CARD.replace(grouping="all")


def test_a_wrong_output_does_not_pass_the_check(monkeypatch):
    work = layer(300, channels=(16, 24), side=10)
    right = clouds._values
    monkeypatch.setattr(clouds, "_values", lambda *given: right(*given) * 1.02)
    assert not run_of(work, check=True).check["passed"]


@pytest.mark.parametrize("in_dtype", ["f16", "tf32"])
def test_features_without_a_spread_pass_the_check(in_dtype):
    """Batch norm makes zeros of them: what is left is rounding, far above the outputs' own size."""
    cloud = Cloud(name="far", coordinates=100 * np.arange(30).reshape(10, 3), features=np.ones((10, 4), np.float32))
    model = networks.build("minkunet-0.5", cloud)
    card = PRESETS["a100-sxm-80gb"].replace(in_dtype=in_dtype)
    assert all(run.check["passed"] for run in simulate(encode(model, card), None, card, check=True))


def test_a_trace_has_the_parts():
    work = layer(300, channels=(16, 24), side=10)
    run = run_of(work)
    (track,) = MACHINE.spans(run, encode(work, CARD), CARD, begin=0, end=10 * run.cycles, n_units=None)
    assert track.edges[-1] == 10 * run.cycles


@pytest.fixture(scope="module")
def torchsparse():
    return {(row.quantity, row.setting): row for row in compare()}


def test_the_order_of_table_2_and_the_work_of_the_tuned_groups(torchsparse):
    speed_up = {name: torchsparse["Table 2, speed-up", name].simulated for name in ("symmetric", "fixed", "adaptive")}
    assert speed_up["adaptive"] > speed_up["symmetric"] > 1
    assert torchsparse["Table 2, work-factor", "symmetric"].simulated == 1
    assert 1.0 <= torchsparse["Table 2, work-factor", "adaptive"].simulated < 1.2


def test_fig_7_has_its_best_inside(torchsparse):
    by_groups = {n: torchsparse["Fig 7, speed-up", str(n)].simulated for n in (13, 6, 3, 2, 1)}
    assert max(by_groups[13], by_groups[6]) > 1 > by_groups[2] > by_groups[1]


def test_table_3_each_step_gains(torchsparse):
    steps = ("f16 scalar", "f16 vector", "fused", "local")
    gains = [torchsparse["Table 3, speed-up", name].simulated for name in steps]
    assert gains == sorted(gains)
    assert 1.5 < gains[1] < 2.2
    assert gains[3] > 1.2 * gains[2]
