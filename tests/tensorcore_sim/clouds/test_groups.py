"""Do the strategies launch what TorchSparse's do, and is the tuned one the best of those tried?"""

from math import inf

import numpy as np
import pytest

from tensorcore_sim import PRESETS
from tensorcore_sim.clouds.groups import cost_us, launches, padded, work_factor
from workloads.points.clouds import read
from workloads.points.groups import EPSILONS, THRESHOLDS, groups
from workloads.points.kernel_map import kernel_map

CARD = PRESETS["rtx-2080-ti"]
SWEEP = kernel_map(read("lidar-0.1").coordinates)


def made_up_us(rows):
    """Return a time in which a launch is worth 1,000 rows."""
    return 1000 + sum(rows)


@pytest.mark.parametrize(("grouping", "n"), [("separate", 26), ("symmetric", 13), ("fixed", 2), ("dense", 1)])
def test_launches_of_a_submanifold_layer(grouping, n):
    chosen = launches(SWEEP, CARD.replace(grouping=grouping), made_up_us)
    assert len(chosen.groups) == n
    assert sorted(place for group in chosen.groups for place in group) == [p for p in range(27) if p != 13]


def test_adaptive_groups_are_those_of_the_rule():
    spec = CARD.replace(grouping="adaptive", tuned_groups=False, epsilon=0.3, mm_threshold=2**40)
    chosen = launches(SWEEP, spec, made_up_us)
    assert len(chosen.groups) == 10
    assert work_factor(chosen, SWEEP) == pytest.approx(1.053, abs=5e-4)


def test_the_tuned_groups_take_least_of_all_sixty_settings():
    chosen = launches(SWEEP, CARD, made_up_us)
    least = inf
    for epsilon in EPSILONS:
        for threshold in THRESHOLDS:
            of = [[int(SWEEP.sizes[group].max())] * len(group) for group in groups(SWEEP.sizes, epsilon, threshold)]
            least = min(least, sum(made_up_us(rows) for rows in of))
    assert len(EPSILONS) * len(THRESHOLDS) == 60
    assert cost_us(chosen, SWEEP, made_up_us) == least


def test_a_launch_is_padded_to_its_largest():
    assert padded((0, 26, 1), SWEEP) == (1849,) * 3


def test_a_strided_layer_has_no_centre():
    down = kernel_map(read("lidar-0.1").coordinates, 2, 2)
    assert len(launches(down, CARD.replace(grouping="fixed"), made_up_us).groups) == 1
    assert sorted(np.concatenate(launches(down, CARD.replace(grouping="symmetric"), made_up_us).groups)) == [*range(8)]
