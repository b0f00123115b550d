"""Is the default design the paper's own, and are its fields taken up to their limits and refused beyond?"""

from dataclasses import fields

import pytest

from eie_sim import PRESETS, Spec
from workloads.errors import BadInput

# EIE, ISCA 2016: sections IV (SRAMs, pointers, register files), V and VI-C (PEs, queues, width), Table II (clock and
# node); nothing is asked for beyond the authors' simulator
PAPER = {
    "n_pes": 64, "queue_depth": 8, "spmat_width_bits": 64, "clock_mhz": 800, "node_nm": 45, "n_pointer_banks": 2,
    "broadcast_latency_cycles": 0, "lnzd_latency_cycles": 0, "spmat_bytes": 128 * 1024, "pointer_bytes": 32 * 1024,
    "pointer_bits": 16, "act_sram_bytes": 2 * 1024, "register_file_entries": 64, "capacity": "report",
    "batches": False, "refills": False, "load_phase": False, "dma_width_bits": 64, "act_sram_width_bits": 16,
    "activation_fraction_bits": "chosen", "weight_fraction_bits": "chosen",
}  # fmt: skip
LIMITS = {
    "n_pes": (1, 4096), "queue_depth": (2, None), "spmat_width_bits": (8, 2**62), "clock_mhz": (1e-3, None),
    "node_nm": (1, 65), "n_pointer_banks": (1, 2), "broadcast_latency_cycles": (0, 10**6),
    "lnzd_latency_cycles": (0, 10**6), "spmat_bytes": (1, None), "pointer_bytes": (4, None), "pointer_bits": (1, 31),
    "act_sram_bytes": (2, None), "register_file_entries": (1, None), "dma_width_bits": (1, None),
    "act_sram_width_bits": (1, None), "activation_fraction_bits": (0, 30), "weight_fraction_bits": (0, 30),
}  # fmt: skip


def test_presets_are_the_paper_s():
    assert PRESETS["isca2016"].as_dict() == Spec().as_dict() == PAPER
    assert PRESETS["silicon"].as_dict() == PAPER | {"capacity": "enforce", "batches": True, "refills": True}
    # Section VI: the projection to 256 PEs at 28 nm and 1,200 MHz
    assert PRESETS["isca2016-28nm"].as_dict() == PAPER | {"n_pes": 256, "clock_mhz": 1200, "node_nm": 28}


@pytest.mark.parametrize("field", [field for field in fields(Spec) if field.name in LIMITS])
def test_a_number_is_taken_up_to_its_limits_and_refused_beyond(field):
    least, most = LIMITS[field.name]
    is_real = isinstance(field.default, float)
    most = (9e18 if is_real else 2**63 - 1) if most is None else most
    for value in (least, most):
        assert getattr(Spec(**{field.name: value}), field.name) == value
    for value in (0.999 * least if is_real else least - 1, 1.1 * most if is_real else 2 * most + 1):
        with pytest.raises(BadInput, match=f"{field.name} must be "):
            Spec(**{field.name: value})
