"""Is a GEMM held against measured ones of as many columns, fewer than 1,024 or not?"""

import pytest

from tensorcore_sim.card.bands import note
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.spec import PRESETS


@pytest.mark.parametrize(("n", "told"), [(1, "below"), (1023, "below"), (1024, "from"), (4096, "from")])
def test_the_columns_of_a_gemm_and_of_the_measured_ones(n, told):
    said = note(Problem(m=4096, n=n, k=4096), PRESETS["h100-sxm"].replace(sparsity="2:4"))
    assert f"n {told} 1024" in said
    assert "measured" in said
