"""Do the two engines of a machine give the same Timeline, array for array, on as many random designs as one asks for?

    python tests/campaign/differential.py [--cases N] [--seed S] [--only NAME]

The cases are those of the test_engines_agree.py of each wing, which are the short form of this: the same generators,
more often. A difference is shown as the smallest case that Hypothesis makes of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))
from eie_sim.simulate import ENGINES
from pointacc_sim import events as points_events
from pointacc_sim import schedule as points_schedule
from tensorcore_sim.card import events as card_events
from tensorcore_sim.card import schedule as card_schedule
from tensorcore_sim.sm import events as sm_events
from tensorcore_sim.sm import schedule as sm_schedule
from tests import card_cases, eie_cases, pointacc_cases, tensorcore_programs

AT_ONCE = 1000  # cases of one seed: Hypothesis remembers all that it has drawn


def eie(case) -> list[str]:
    workload, spec = case
    laid_out = eie_cases.lay_out(workload, spec)
    return ENGINES["events"](*laid_out, spec).differences(ENGINES["schedule"](*laid_out, spec))


def sm(program) -> list[str]:
    return sm_events.timeline(program).differences(sm_schedule.timeline(program))


def card(plan) -> list[str]:
    return card_events.timeline(plan).differences(card_schedule.timeline(plan))


def pointacc(case) -> list[str]:
    plan, spec = case
    return points_events.timeline(plan, spec).differences(points_schedule.timeline(plan, spec))


# what is compared: (cases, the names of the arrays that differ, how many of 100 cases)
COMPARED = {
    "eie": (st.tuples(eie_cases.workloads(), eie_cases.specs()), eie, 25),
    "sm": (tensorcore_programs.programs(), sm, 25),
    "card": (card_cases.cards(), card, 25),
    "pointacc": (
        pointacc_cases.specs().flatmap(lambda spec: st.tuples(pointacc_cases.plans(spec), st.just(spec))),
        pointacc,
        15,
    ),
    "gemm": (card_cases.gemms(), card, 10),
}


def compare(cases: st.SearchStrategy, differences: Callable, n_cases: int, seed: int) -> int:
    """Return how many cases were compared, which all agree; raises AssertionError for one that does not."""
    n_compared = 0
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    for block in range(-(-n_cases // AT_ONCE)):

        @hypothesis.seed(seed * 1_000_003 + block)
        @settings(max_examples=min(AT_ONCE, n_cases - block * AT_ONCE), phases=[Phase.generate, Phase.shrink], **quiet)
        @given(cases)
        def agree(case):
            nonlocal n_compared
            assert differences(case) == []
            n_compared += 1

        agree()
    return n_compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=COMPARED)
    options = parser.parse_args()
    for name, (cases, differences, share) in COMPARED.items():
        if options.only in (None, name):
            since = time.monotonic()
            n_cases = options.cases if options.only else options.cases * share // 100
            n_compared = compare(cases, differences, n_cases, options.seed)
            seconds = time.monotonic() - since
            print(f"{name}: {n_compared:,} cases, seed {options.seed}, no difference, {seconds:,.0f} s", flush=True)


if __name__ == "__main__":
    main()
