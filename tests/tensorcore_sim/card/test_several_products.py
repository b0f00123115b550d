"""Are several products in one kernel, batched or grouped, dealt, counted and named as what they are?"""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.command.cli import main
from tensorcore_sim import MACHINE, PRESETS
from tensorcore_sim.card import bounds
from tensorcore_sim.card.choose import tiling
from tensorcore_sim.card.plan import plan
from tensorcore_sim.card.tiling import MOST_PRODUCTS, Problem, Tiling
from tensorcore_sim.card.timeline import Plan
from tensorcore_sim.prices import energy
from tensorcore_sim.simulate import ENGINES, time_gemm
from tensorcore_sim.spec import Spec
from workloads import Shape
from workloads.catalogue import load
from workloads.errors import BadInput
from workloads.records import Workload

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]
TILE = Tiling(tile_m=64, tile_n=16, tile_k=32, n_stages=2, warps=(4, 1), group_k=16, raster_tiles=8)


@pytest.fixture(params=tuple(ENGINES))
def engine(request):
    return request.param


def arrays(made: Plan) -> dict[str, object]:
    return {field.name: np.asarray(getattr(made, field.name)).tolist() for field in fields(made)}


# The Plan


def test_a_plan_of_three_products_by_hand():
    # 100 x (20, 0, 8, 20) x 32: two rows of tiles in each product, 64 and 36; columns of 16 + 4, 8, 16 + 4
    made = plan(Problem(m=100, n=(20, 0, 8, 20), k=32), TILE, 1, Spec())
    assert made.row.tolist() == [0, 1, 0, 1, 2, 3, 4, 5, 4, 5]
    assert made.column.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert made.a_bytes[:, 0].tolist() == [64 * 64, 36 * 64] * 3
    assert made.b_bytes[:, 0].tolist() == [16 * 64, 4 * 64, 8 * 64, 16 * 64, 4 * 64]
    assert (made.store_bytes // 2).tolist() == [1024, 576, 256, 144, 512, 288, 1024, 576, 256, 144]
    assert made.tile.tolist() == list(range(10))


def test_a_warm_l2_holds_the_chunks_of_every_product():
    made = plan(Problem(m=64, n=(16, 16), k=64), TILE, 1, Spec(warm_l2=True))
    assert made.in_l2.tolist() == list(range(8))  # two A and two B, of two k-steps each
    n_bytes = 2 * (64 + 16) * 64 * 2
    small = Spec(warm_l2=True, l2_bytes=n_bytes - 1)
    assert len(plan(Problem(m=64, n=(16, 16), k=64), TILE, 1, small).in_l2) == 0


@settings(max_examples=30)
@given(st.tuples(*[st.integers(1, 3000)] * 3), st.sampled_from([A100, H100]), st.sampled_from(["dense", "2:4"]))
def test_one_product_in_a_batch_is_the_product_alone(sizes, preset, sparsity):
    m, n, k = sizes
    spec = preset.replace(sparsity=sparsity)
    alone, batch, grouped = Problem(m=m, n=n, k=k), Problem(m=m, n=(n,), k=k), Problem(m=m, n=(0, n, 0), k=k)
    chosen = tiling(alone, spec)
    assert chosen == tiling(batch, spec) == tiling(grouped, spec)
    expected = arrays(plan(alone, chosen, 1, spec))
    assert arrays(plan(batch, chosen, 1, spec)) == arrays(plan(grouped, chosen, 1, spec)) == expected


# What is counted


@pytest.mark.parametrize("count", [2, 5])
def test_a_batch_reads_and_multiplies_as_often_as_it_has_products(engine, count):
    spec = A100.replace(n_sms=4, tile_m=64, tile_n=16, tile_k=32, n_stages=2)  # L2 holds all of it
    one, all_of_them = (Problem(m=130, n=n, k=100) for n in (40, (40,) * count))
    alone, batch = (time_gemm(problem, spec, engine=engine)[1] for problem in (one, all_of_them))
    for action in ("macs", "mmas", "hbm_read_bytes", "write_bytes", "shared_read_bytes", "shared_write_bytes"):
        assert batch.actions[action] == count * alone.actions[action], action
    assert bounds.hbm_bytes(all_of_them, spec) == count * bounds.hbm_bytes(one, spec)
    assert bounds.compute_cycles(all_of_them, spec) == count * bounds.compute_cycles(one, spec)


def test_products_share_no_weights_as_columns_of_one_product_do():
    # 8 products of 16 columns, or one of 128: the same multiply-adds, B and results, but A eight times
    spec = A100.replace(tile_m=64, tile_n=16, tile_k=32)
    batch, one = (time_gemm(Problem(m=256, n=n, k=512), spec)[1].actions for n in ((16,) * 8, 128))
    assert batch["macs"] == one["macs"]
    assert batch["hbm_read_bytes"] - one["hbm_read_bytes"] == 7 * 256 * 512 * 2


def test_an_empty_group_takes_nothing(engine):
    with_it, without = (time_gemm(Problem(m=200, n=n, k=300), H100, engine=engine) for n in ((64, 0, 17), (64, 17)))
    assert with_it[0].differences(without[0]) == []
    assert with_it[1].actions == without[1].actions
    assert with_it[2]["gemm"] == "200 x (64 + 0 + 17) x 300, f16"


@pytest.mark.parametrize("preset", [A100, H100])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(64, 64, 64), (300, 17, 900), (1024, 128, 4096), (4096, 64, 1024), (96, 2000, 96)]
)
def test_a_kernel_of_several_products_is_no_slower_than_their_calls_and_no_faster_than_the_bound(preset, m, n, k):
    for ns in ((n,) * 2, (n,) * 7, (n, 1, 2 * n)):
        problem = Problem(m=m, n=ns, k=k)
        together = time_gemm(problem, preset, baseline=False)[1].cycles / preset.clock_mhz
        apart = [time_gemm(Problem(m=m, n=each, k=k), preset, baseline=False)[1].cycles for each in ns]
        assert bounds.time_us(problem, preset) - 1e-4 <= together <= sum(apart) / preset.clock_mhz


def test_padding_and_the_books_count_every_product(engine):
    spec = A100.replace(tile_m=64, tile_n=16, tile_k=32)
    _, books, measures = time_gemm(Problem(m=100, n=(20, 8), k=32), spec, engine=engine)
    # 6 tiles of 64 x 16 for 100 x 28
    assert measures["padding_%"] == pytest.approx(100 * (1 - 2800 / (6 * 1024)))
    assert (books.states["sm"][1].sum(axis=1) == books.cycles).all()
    assert measures["dense_equivalent_tflops"] == pytest.approx(2 * 2800 * 32 / (books.cycles / spec.clock_mhz) / 1e6)


# How it is asked for and named


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (64, "4096 x 64 x 11008"),
        ((64,), "1 * 4096 x 64 x 11008"),
        ((64,) * 8, "8 * 4096 x 64 x 11008"),
        ((64, 0, 17), "4096 x (64 + 0 + 17) x 11008"),
    ],
)
def test_a_problem_is_written_and_read(n, text):
    problem = Problem(m=4096, n=n, k=11008)
    assert str(problem) == text
    assert Problem.parse(text) == problem


def test_sizes_with_a_count_are_a_batch():
    shape = load("8*4096x64x11008")
    assert (shape.n_out, shape.n_in, shape.batch, shape.groups) == (8 * 4096, 8 * 11008, 64, 8)
    assert Problem.of(shape, shape.batch) == Problem(m=4096, n=(64,) * 8, k=11008)


def test_the_command_takes_a_batch(capsys):
    assert main(["run", "tensorcore", "3*64x8x64", "--set", "sparsity=2:4", "--prices", "sparseloop", "--set",
                 "in_dtype=int8"]) == 0  # fmt: skip
    assert "3 * 64 x 8 x 64, int8" in capsys.readouterr().out


def test_a_stored_run_s_energy_and_size_are_of_all_products():
    spec = Spec(in_dtype="int8")
    layer = Shape(name="s", n_out=3 * 64, n_in=3 * 64, batch=8, groups=3)
    run = MACHINE.simulate(MACHINE.encode(layer, spec), None, spec)
    assert energy(run, "sparseloop").total_pj > 0
    (size,) = [view.over.of(run) for view in MACHINE.views]
    assert size == pytest.approx((3 * 64 * 8 * 64) ** (1 / 3), abs=1e-6)
    assert run.notes[-1].startswith("no measured GEMM of several products")


def test_depthwise_weights_are_read_whole():
    # 64 groups of 4 x 4 weights on one's diagonal each: all 64 x 16 weights, 2 bytes each
    blocks = np.kron(np.eye(64), np.ones((4, 4)))
    whole = Workload(name="w", weights=blocks, activations=np.ones((8, 256)), groups=64)
    run = MACHINE.simulate(MACHINE.encode(whole, Spec()), whole.activations, Spec(), check=True)
    assert run.actions["hbm_read_bytes"] == 64 * (16 + 4 * 8) * 2
    assert (run.outputs == 4).all()


# What is refused


@pytest.mark.parametrize(
    ("n", "line"),
    [
        ((), "n must hold a product of at least 1 column, got ()"),
        ((0, 0), "n must hold a product of at least 1 column, got (0, 0)"),
        ((4, -1), "n must be a whole number from 0 to 16777216, got -1"),
        ((4, True), "n must be a whole number from 0 to 16777216, got True"),
        ([4, 4], "n must be a whole number from 1 to 16777216, got [4, 4]"),
        ((1,) * (MOST_PRODUCTS + 1), "n must be at most 65,535 products of one kernel, got 65,536"),
    ],
)
def test_what_is_no_problem_is_refused(n, line):
    with pytest.raises(BadInput) as refusal:
        Problem(m=1, n=n, k=1)
    assert str(refusal.value) == line


@pytest.mark.parametrize("sizes", ["0*1x1x1", "9999999999*1x1x1"])
def test_the_command_refuses_what_no_kernel_has(sizes, capsys):
    assert main(["run", "tensorcore", sizes]) == 2
    assert "must be at" in capsys.readouterr().err
