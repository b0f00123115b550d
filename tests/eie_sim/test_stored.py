"""How many bytes does a layer take in EIE?"""

import numpy as np

import eie_sim
from workloads import Workload


def test_entries_paddings_pointers_and_the_codebook_by_hand():
    # A column with 1 at row 2, 2 at row 3 and 3 at row 22: three entries and a padding (Han et al. 2016, III-B)
    weights = np.zeros((23, 1), np.float32)
    weights[[2, 3, 22], 0] = 1, 2, 3
    layer = Workload(name="w", weights=weights, activations=[1])
    spec = eie_sim.Spec(n_pes=1)
    # Two pointers of 16 bits, 16 values of 16 bits
    assert eie_sim.MACHINE.stored(eie_sim.encode(layer, spec), spec) == {
        "entries": 3, "padding": 1, "pointers": 4, "codebook": 32
    }  # fmt: skip
    spec = eie_sim.Spec(n_pes=2, pointer_bits=32 - 8)
    # Rows 2 and 22 in PE 0, places 1 and 11; row 3 in PE 1: no gap is longer than 15. Two pointers in each of two PEs.
    assert eie_sim.MACHINE.stored(eie_sim.encode(layer, spec), spec) == {
        "entries": 3, "padding": 0, "pointers": 12, "codebook": 32
    }  # fmt: skip


def test_every_design_suits_every_layer():
    spec = eie_sim.Spec(n_pes=2)
    assert eie_sim.MACHINE.suited(Workload(name="w", weights=[[1, 0]], activations=[1, 1]), spec) is spec
