"""Does every tick of every unit have one reason, and the right one? Each table was drawn by hand from the rules."""

from dataclasses import replace

from hypothesis import given, settings

from tensorcore_sim.actions import CoreState
from tensorcore_sim.sm import account, schedule
from tensorcore_sim.sm import program as p
from tensorcore_sim.sm.microbenchmark import loop
from tensorcore_sim.spec import PRESETS
from tests.tensorcore_programs import KINDS, programs

A100, H800 = PRESETS["a100-sxm-80gb"], PRESETS["h800-pcie"]
K8 = p.mma("mma.m16n8k8", "f16", A100)
SPARSE_K16 = p.mma("mma.sp.m16n8k16", "f16", A100)


def books(program):
    return account.ledger(program, schedule.timeline(program))


def core(found, subcore: int) -> dict[str, int]:
    names, spent = found.states["core"]
    return {name.name.lower(): int(spent[subcore, name]) for name in names if spent[subcore, name]}


def test_a_small_sparse_instruction_spends_its_floor():
    # 0 compute | 40 floor | 62 compute | 102 floor | 124 all issued | 62 + 177 = 239 end
    found = books(p.program([[SPARSE_K16] * 2], A100))
    assert core(found, 0) == {"compute": 80, "floor": 44, "done": 115}
    assert core(found, 1) == {"done": 239}


def test_a_chain_waits_for_its_dependency():
    # 0 compute | 40 wait | 177 compute | 217 all issued | 354 end. The warp's own slot ends at 10, under the compute.
    found = books(p.program([[K8, replace(K8, needs=0)]], A100))
    assert core(found, 0) == {"compute": 80, "dependency": 137, "done": 137}


def test_a_load_waits_for_the_port_and_then_comes():
    # Four loads of 4 passes: sub-core 3's is served at 130, is in the port until 170, is there at 410. Its mma follows.
    # 0 the load's own cycle | 10 port | 170 on its way | 410 compute | 450 all issued | 587 end
    x4 = p.load("ldmatrix.x4", A100)
    found = books(p.program([[x4], [x4], [x4], [x4, replace(K8, needs=0)]], A100))
    assert core(found, 3) == {"issue": 10, "port": 160, "dependency": 240, "compute": 40, "done": 137}
    assert found.totals()["port"] == {"busy": 160, "idle": 587 - 160}
    assert (found.actions["loads"], found.actions["mmas"], found.actions["port_ticks"]) == (4, 1, 160)


def test_a_short_wgmma_waits_for_the_port():
    # m64n8k16 SS: 40 ticks of multiply-adds, 180 of the port. Served at 10, 190 and 370, the last ends at 550.
    one = p.wgmma("wgmma.m64n8k16", "f16", H800)
    found = books(p.program([[one] * 3], H800))
    assert core(found, 0) == {"issue": 10, "compute": 120, "port": 280, "done": 140}
    assert core(found, 3) == {"compute": 120, "port": 280, "done": 150}
    assert found.totals()["port"] == {"busy": 540, "idle": 10}


def test_with_a_from_registers_the_floor_is_seen():
    # 40 ticks of multiply-adds, then the floor until 134
    one = p.wgmma("wgmma.m64n8k16", "f16", H800, "registers")
    assert core(books(p.program([[one] * 2], H800)), 0) == {"issue": 10, "compute": 80, "floor": 188}


def test_why_a_small_sparse_instruction_is_not_twice_as_fast():
    # The period of an iteration: 2 warps x 2 chains x 62 ticks + 2 x 4 of closing, 160 of them multiply-adds
    found = books(loop(SPARSE_K16, 8, 2, 200, A100))
    names, spent = found.states["core"]
    shares = {name.name: spent[0, name] / found.cycles for name in names}
    assert abs(shares["COMPUTE"] - 160 / 256) < 5e-3
    assert abs(shares["FLOOR"] - 88 / 256) < 5e-3
    assert abs(shares["CLOSE"] - 8 / 256) < 5e-3


@settings(max_examples=100, deadline=None)
@given(programs())
def test_the_books_always_balance(program):
    found = books(program)  # a Ledger raises where a unit's states do not sum to the run
    length = program.length.tolist()
    for action, kind in (("mmas", p.Kind.MMA), ("wgmmas", p.Kind.WGMMA), ("closes", p.Kind.CLOSE)):
        assert found.actions[action] == sum(
            program.kind[w, i] == kind for w in range(len(length)) for i in range(length[w])
        )


@settings(max_examples=100, deadline=None)
@given(programs(kinds=tuple(kind for kind in KINDS if kind != p.Kind.WGMMA)))
def test_what_a_core_is_held_for_is_in_its_books(program):
    spent = books(program).states["core"][1]
    held = [int(program.hold[w :: program.n_subcores].sum()) for w in range(program.n_subcores)]
    floors = [int(program.floor[w :: program.n_subcores].sum()) for w in range(program.n_subcores)]
    assert spent[:, : CoreState.CLOSE + 1].sum(axis=1).tolist() == held
    assert spent[:, CoreState.FLOOR].tolist() == floors
