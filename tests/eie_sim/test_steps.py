"""Do the steps that EIE shows add up to its run: queues, pointers, entries and accumulators, cycle by cycle?"""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from eie_sim import Spec, encode, simulate, steps
from eie_sim.steps import ENTRIES, LNZD, OUTPUTS, QUEUES
from tests import eie_cases, naive_eie
from workloads import BadInput, load


def shown(workload, spec, engine="schedule", *, window=None, n_units=None):
    """Return a run and its steps: what is said first, those in time, and what is said last (if it is)."""
    image = encode(workload, spec)
    try:
        run = simulate(image, workload.activations[0], spec, engine=engine)
    except BadInput:
        reject()  # a drawn row of activations that no SRAM holds
    begin, end = window or (0, run.cycles)
    first, *rest = steps(run, image, workload.activations[0], spec, begin=begin, end=end, n_units=n_units)
    return run, first, [step for step in rest if step.begin is not None], [s for s in rest if s.begin is None]


def fields(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


# By hand


def test_the_lecture_s_example_by_hand():
    # a = (0, 2, 0, 3); PE p has rows p and p + 4. a1 is sent in cycle 1 and popped in 2, a3 in 2 and 3; column 1 has an
    # entry in PE 0 (1.5 for b0), 2 (-1 for b2) and 3 (-2 for b7, behind row 3: a run of 1), column 3 two in PE 0 (0.75
    # for b0, -0.5 for b4) and two in PE 2 (0.25 for b2, 1.25 for b6). PE 0 has w00, w01, w42, w03, w43 back to back.
    _, _, cycles, (last,) = shown(load("lecture-eie"), Spec(n_pes=4))
    assert [(step.title, step.begin, step.end) for step in cycles] == [(f"cycle {c}", c - 1, c) for c in range(1, 12)]
    sent = [fields(step.tables[LNZD], "row", "non-zeros left", "passes on", "value")[0] for step in cycles]
    assert sent == [(0, [1, 3], 1, 2.0), (0, [3], 3, 3.0)] + [(None,) * 4] * 9
    popped = {c: fields(cycles[c - 1].tables[QUEUES], "queue", "pops", "value", "begins", "ends") for c in (1, 2, 3)}
    assert popped[1] == [([], None, None, None, None)] * 4
    assert popped[2] == [([1], 1, 2.0, *at) for at in ((1, 2), (1, 1), (0, 1), (0, 1))]
    assert popped[3] == [([3], 3, 3.0, *at) for at in ((3, 5), (2, 2), (1, 3), (1, 1))]
    names = ("unit", "a", "entry", "run", "weight", "row", "before", "after")
    handled = {c: fields(cycles[c - 1].tables[ENTRIES], *names) for c in (3, 4, 5)}
    assert handled == {
        3: [
            ("PE 0", 1, 1, 0, 1.5, 0, 0.0, 3.0),
            ("PE 2", 1, 0, 0, -1.0, 2, 0.0, -2.0),
            ("PE 3", 1, 0, 1, -2.0, 7, 0.0, -4.0),
        ],
        4: [("PE 0", 3, 3, 0, 0.75, 0, 3.0, 5.25), ("PE 2", 3, 1, 0, 0.25, 2, -2.0, -1.25)],
        5: [("PE 0", 3, 4, 0, -0.5, 4, 0.0, -1.5), ("PE 2", 3, 2, 0, 1.25, 6, 0.0, 3.75)],
    }
    assert all(ENTRIES not in step.tables for step in cycles[5:])
    assert fields(last.tables[OUTPUTS], "row", "accumulator", "output", "passes on") == [
        (0, 5.25, 5.25, "yes"),
        (4, -1.5, 0.0, "no"),
        (1, 0.0, 0.0, "no"),
        (5, 0.0, 0.0, "no"),
        (2, -1.25, 0.0, "no"),
        (6, 3.75, 3.75, "yes"),
        (3, 0.0, 0.0, "no"),
        (7, -4.0, 0.0, "no"),
    ]


def test_the_lecture_s_column_pointers_and_where_its_relative_indices_differ():
    # The slide's PE 0: w00 w01 w42 w03 w43, column pointers 0 1 2 3 5, relative indices 0 1 2 0 0: the zeros before
    # each weight, were the columns one list. A column is read without those before it, so each begins at row 0.
    image = encode(load("lecture-eie"), Spec(n_pes=4))
    assert image.pointers[:, 0].tolist() == [0, 1, 2, 3, 5]
    entries = image.entries[image.pe_start[0] : image.pe_start[1]]
    assert image.codebook[entries >> 4].tolist() == [0.5, 1.5, 2.0, 0.75, -0.5]
    assert (entries & 15).tolist() == [0, 0, 1, 0, 0]
    flat = load("lecture-eie").weights[0::4].T.ravel()  # column after column
    assert (np.diff(np.flatnonzero(flat), prepend=-1) - 1).tolist() == [0, 1, 2, 0, 0]


def test_a_full_queue_is_named():
    # Of two places one is used. Sent in 1, both queues full in 2, popped in 2; sent in 3, both full in 4; PE 0 pops in
    # 4, PE 1, with three entries a column, in 5: broadcaster SBSBBS (docs/trace.md).
    _, _, cycles, _ = shown(eie_cases.layer([[1, 1, 1], [3, 3, 3]]), Spec(n_pes=2, queue_depth=2))
    full = {step.end: step.tables[LNZD][0].get("full PEs") for step in cycles}
    assert {cycle: pes for cycle, pes in full.items() if pes} == {2: [0, 1], 4: [0, 1], 5: [1]}


# Laws


@settings(max_examples=50)
@given(eie_cases.workloads(max_in=12, max_out=24), eie_cases.specs())
def test_accumulators_go_from_zero_to_the_outputs_by_their_products(workload, spec):
    run, _, cycles, (last,) = shown(workload, spec)
    sums = dict.fromkeys(range(workload.n_out), 0.0)
    step, bits = run.output_step, run.measures
    n_handled = 0
    for row in (row for cycle in cycles for row in cycle.tables.get(ENTRIES, ())):
        n_handled += 1
        if row["code"] == 0:
            assert (row["run"], row["before"], row["after"]) == (15, None, None)
            continue
        assert row["before"] == sums[row["row"]]
        activation = 1.0 if row["a"] == "bias" else workload.activations[0, row["a"]]
        weight = (workload.bias if row["a"] == "bias" else workload.weights[:, row["a"]])[row["row"]]
        pair = (("weights", weight), ("activations", activation))
        whole = [round(float(x) * 2 ** bits[f"{name}_fraction_bits"]) for name, x in pair]
        assert row["weight"] == whole[0] / 2 ** bits["weights_fraction_bits"]
        shift = int(bits["weights_fraction_bits"] + bits["activations_fraction_bits"] - bits["outputs_fraction_bits"])
        added, _ = naive_eie.accumulate([1 << shift, whole[0]], [round(row["before"] / step), whole[1]], shift)
        assert row["after"] == added * step
        sums[row["row"]] = row["after"]
    outputs = {row["row"]: row["output"] for row in last.tables[OUTPUTS]}
    assert outputs == {place: max(total, 0.0) if workload.relu else total for place, total in sums.items()}
    assert [outputs[place] for place in range(workload.n_out)] == run.values.tolist()
    assert n_handled == run.actions["entries"]
    assert (cycles[0].begin if cycles else 0, cycles[-1].end if cycles else 0) == (0, run.cycles)


@settings(max_examples=50)
@given(eie_cases.workloads(max_in=12, max_out=12), eie_cases.specs())
def test_queues_hold_what_was_sent_and_not_yet_popped(workload, spec):
    _, _, cycles, _ = shown(workload, spec)
    queues = {f"PE {pe}": [] for pe in range(spec.n_pes)}
    handling = dict.fromkeys(queues, ())  # the entries that a PE is still to handle, of the column popped last
    on_the_way = []
    for step in cycles:
        lnzd = step.tables[LNZD][0]
        levels = [step.levels[unit]["queue"] for unit in queues]
        assert levels == [len(queue) + len(on_the_way) for queue in queues.values()]
        if lnzd["does"] in ("send", "blocked"):
            assert (max(levels) == spec.queue_depth - 1) == (lnzd["does"] == "blocked")
            assert lnzd["non-zeros left"][0] == lnzd["passes on"]
        handled = {row["unit"]: row for row in step.tables.get(ENTRIES, ())}
        for row in step.tables[QUEUES]:
            unit = row["unit"]
            assert row["queue"] == queues[unit]
            if unit in handled:
                own = handled[unit]
                assert (own["a"], own["entry"]) == handling[unit][0]
                handling[unit] = handling[unit][1:]
            if row["pops"] is not None:
                assert not handling[unit]
                assert queues[unit].pop(0) == row["pops"]
                handling[unit] = [(row["pops"], entry) for entry in range(row["begins"], row["ends"])]
        if lnzd["does"] == "send":
            on_the_way.append((step.end + spec.broadcast_latency_cycles, lnzd["passes on"]))
        for arrived in [index for cycle, index in on_the_way if cycle == step.end]:
            for queue in queues.values():
                queue.append(arrived)
        on_the_way = [item for item in on_the_way if item[0] != step.end]


@settings(max_examples=25)
@given(eie_cases.workloads(max_in=12, max_out=12), eie_cases.specs(), st.data())
def test_engines_windows_and_fewer_units_show_the_same(workload, spec, data):
    run, first, cycles, last = shown(workload, spec)
    _, *others = shown(workload, spec, "events")
    assert [vars(step) for step in (others[0], *others[1], *others[2])] == [
        vars(step) for step in (first, *cycles, *last)
    ]
    if not run.cycles:
        return
    begin = data.draw(st.integers(0, run.cycles - 1))
    end = data.draw(st.integers(begin + 1, run.cycles))
    n_units = data.draw(st.integers(1, spec.n_pes))
    units = {"broadcaster", *(f"PE {pe}" for pe in range(n_units))}
    _, _, some, _ = shown(workload, spec, window=(begin, end), n_units=n_units)
    assert [step.end for step in some] == list(range(begin + 1, end + 1))
    for step, whole in zip(some, cycles[begin:end], strict=True):
        for title, rows in step.tables.items():
            assert rows == [row for row in whole.tables[title] if row["unit"] in units]


def test_a_former_layer_s_outputs_enter_as_they_are():
    network, spec = load("lenet-300-100"), Spec(n_pes=8)
    images = encode(network, spec)
    first, second = simulate(images, network.inputs[0], spec, engine="schedule")[:2]
    *_, last = steps(second, images[1], first, spec, begin=second.cycles - 1, end=second.cycles, n_units=None)
    outputs = {row["row"]: row["output"] for row in last.tables[OUTPUTS]}
    assert [outputs[place] for place in range(len(outputs))] == second.values.tolist()
    assert np.count_nonzero(second.values) == sum(row["passes on"] == "yes" for row in last.tables[OUTPUTS])


@pytest.mark.parametrize("latency", [0, 2])
def test_a_level_counts_what_is_on_its_way_and_a_queue_does_not(latency):
    spec = Spec(n_pes=1, broadcast_latency_cycles=latency)
    _, _, cycles, _ = shown(eie_cases.layer([[1, 1]]), spec)
    assert cycles[1].levels["PE 0"]["queue"] == 1
    assert cycles[1].tables[QUEUES][0]["queue"] == ([] if latency else [0])
