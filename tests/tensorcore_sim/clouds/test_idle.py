"""Is a field of sparse convolutions that changes nothing of them named as such, and no other?"""

import json
from dataclasses import fields

import pytest

from tensorcore_sim import MACHINE, PRESETS, encode, simulate
from tensorcore_sim.cloud_fields import DATAFLOWS, GROUPINGS, CloudFields
from tests.pointacc_cases import layer

WORK = layer(1500, channels=(64, 64), side=16)
OTHERS = {
    "sparse_dataflow": DATAFLOWS,
    "grouping": GROUPINGS,
    "tuned_groups": (True, False),
    "epsilon": (0.0, 0.4, 1.0),
    "mm_threshold": (0, 200, 2**40),
    "mask_splits": (0, 1, 3),
    "vector_moves": (True, False),
    "fused_moves": (True, False),
    "local_moves": (True, False),
    "map_search": ("grid", "hash"),
    "map_symmetry": (True, False),
}
DESIGNS = (
    {},
    {"grouping": "symmetric"},
    {"tuned_groups": False, "epsilon": 0.3, "mm_threshold": 300},
    {"sparse_dataflow": "fetch-on-demand"},
    {"sparse_dataflow": "implicit-gemm"},
)


def outcome(spec) -> str:
    run = simulate(encode(WORK, spec), None, spec)
    return json.dumps(run.as_dict() | {"spec": None, "id": None})


@pytest.mark.parametrize("changes", DESIGNS, ids=str)
def test_a_field_is_idle_where_no_value_of_it_changes_a_run(changes):
    spec = PRESETS["rtx-2080-ti"].replace(l2_bytes=2**16, **changes)
    before = outcome(spec)
    silent = {
        name
        for name, values in OTHERS.items()
        if all(outcome(spec.replace(**{name: value})) == before for value in values)
    }
    assert OTHERS.keys() == {field.name for field in fields(CloudFields)}
    assert silent == set(MACHINE.idle(spec)) & OTHERS.keys()
