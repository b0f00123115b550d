"""Does the table of a graph's widths tell what the smaller graph costs, and go the channels that are worth least?"""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from cyclekit import machine
from cyclekit.budgets.adapt import adapt
from cyclekit.budgets.graph_widths import GraphWidths
from tests.channel_graphs import INPUTS, Builder, constants, replaced, residual
from tests.onnx_models import reference
from workloads import BadInput, tasks
from workloads.allocation.knapsack import knapsack
from workloads.graphs.feed import Feed


def knob_of(model, folder, name="*", labels=None):
    """Return the knob of a graph on a card."""
    path = folder / "f.onnx"
    path.write_bytes(model.SerializeToString())
    arrays = INPUTS if labels is None else INPUTS | {"labels": labels}
    chosen = machine.load("tensorcore")
    task = tasks.load(str(path) if name == "*" else f"{path}:{name}", Feed.of(inputs=arrays))
    return GraphWidths(task=task, chosen=chosen, spec=chosen.design(None, {}), metric="us", batch=512)


def grouped():
    """Return a graph of a grouped and a depthwise convolution, and a Concat that a matrix reads."""
    built = Builder()
    first = built.conv("x", 4)
    depthwise = built.conv(first, 8, 3, groups=4)
    parts = [built.conv(depthwise, 2), built.conv(depthwise, 4, groups=2)]
    built.fully(built.node("Concat", parts, 6, axis=1), 6 * 16, "Gemm")
    return built


@pytest.mark.parametrize("make", [residual, grouped])
def test_the_table_is_what_the_smaller_graphs_cost(make, tmp_path):
    knob = knob_of(make().model(), tmp_path)
    table = knob.table()
    for places in itertools.product(*(range(len(levels)) for levels in table.levels.values())):
        choice = dict(zip(table.levels, places, strict=True))
        costs = knob.layer_costs(knob.start(choice))
        assert {name: cost.at(choice) for name, cost in table.costs.items()} == costs
        assert table.cost(choice) == sum(costs.values())


def test_a_residual_layer_hangs_on_the_group_that_it_reads_and_the_one_it_writes(tmp_path):
    table = knob_of(residual().model(), tmp_path).table()
    stem, hidden, back = residual().convs
    assert table.levels == {stem: (4, 3, 2, 1), hidden: (5, 4, 3, 2, 1)}
    assert {name: cost.knobs for name, cost in table.costs.items()} == {
        stem: (stem,),
        hidden: (stem, hidden),
        back: (hidden, stem),
        "fc": (stem,),
    }


def test_what_nobody_reads_goes_first_and_costs_no_quality(tmp_path):
    model, (stem, hidden, back) = residual().model(), residual().convs
    stored = constants(model)
    stored[f"{back}.weight"][:, [0, 3]] = 0
    knob = knob_of(replaced(model, stored), tmp_path)
    level = knob.table().levels[hidden].index(3)
    choice = {stem: 0, hidden: level}
    assert knob.table().loss(choice) == 0
    assert knob.table().loss({stem: 0, hidden: level + 1}) > 0
    small = knob.start(choice)
    np.testing.assert_array_equal(constants(small.model)[f"{hidden}.weight"], stored[f"{hidden}.weight"][[1, 2, 4]])
    assert knob.quality(small) == pytest.approx(0, abs=1e-6)
    assert knapsack(knob.table(), knob.table().cost(choice)) == choice


def test_importance_is_the_share_of_the_energy_that_a_reader_is_given(tmp_path):
    """Of the hidden channels: mean square on the inputs times the square of the column, over the sum of all five."""
    model, (_, hidden, back) = residual().model(), residual().convs
    stored = constants(model)
    relu = next(node.output[0] for node in model.graph.node if node.op_type == "Relu")
    values = reference(model, INPUTS, relu)[0]
    energy = (values.astype(np.float64) ** 2).mean(axis=(0, 2, 3)) * (stored[f"{back}.weight"] ** 2).sum(axis=(0, 2, 3))
    expected = np.cumsum(np.sort(energy / energy.sum()))
    np.testing.assert_allclose(knob_of(model, tmp_path).table().losses[hidden], [0, *expected[:4]], rtol=1e-5)


def test_quality_is_accuracy_where_there_are_labels_and_else_the_error(tmp_path):
    model = residual().model()
    (outputs,) = reference(model, INPUTS, "y")
    labels = outputs.argmax(axis=1)
    labels[0] = (labels[0] + 1) % 3
    knob = knob_of(model, tmp_path, labels=labels)
    assert knob.value_of(knob.start(knob.table().whole)) == 0.5
    knob = knob_of(model, tmp_path)
    small = knob.start(knob.table().least)
    (few,) = reference(small.model, INPUTS, "y")
    error = np.linalg.norm(few - outputs) / np.linalg.norm(outputs)
    assert knob.quality(small) == pytest.approx(error, rel=1e-5)
    assert knob.value_of(small) == pytest.approx(-error, rel=1e-5)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the file of the costs, which are simulated once."""
    return tmp_path_factory.mktemp("costs") / "costs.db"


@pytest.mark.parametrize("is_labelled", [True, False])
def test_sensitivity_goes_by_what_each_group_alone_loses(is_labelled, tmp_path, store):
    model, labels = residual().model(), np.array([0, 2]) if is_labelled else None
    own = replace(knob_of(model, tmp_path, labels=labels), analysis=tmp_path / "a.json", epochs=0, into=store)
    table = own.table()
    budget = (table.cost(table.least) + table.cost(table.whole)) / 2
    result = adapt(own, budget, "sensitivity")
    assert result.cost <= budget
    (whole,), told = reference(model, INPUTS, "y"), json.loads(own.analysis.read_text())
    assert told["measure"] == ("accuracy" if is_labelled else "relative error")
    for name, levels in table.levels.items():
        for level, row in enumerate(told["layers"][name]):
            (few,) = reference(own.start({**table.whole, name: level}).model, INPUTS, "y")
            error = np.linalg.norm(few - whole) / np.linalg.norm(whole)
            value = (few.argmax(axis=1) == labels).mean() if is_labelled else -error
            assert (row["width"], row["value"]) == (levels[level], pytest.approx(value, rel=1e-4, abs=1e-6))
    again = replace(own, _values={"table": table})  # which reads the file
    assert adapt(again, budget, "sensitivity").log == result.log
    other = replace(knob_of(model, tmp_path, labels=np.array([1, 1])), analysis=own.analysis, into=store)
    with pytest.raises(BadInput, match="is of another network, other inputs or levels"):
        adapt(other, budget, "sensitivity")


def test_eagleeye_has_no_statistics_to_re_estimate(tmp_path, store):
    own = replace(knob_of(residual().model(), tmp_path), into=store)
    with pytest.raises(BadInput, match="method must be another than eagleeye for the graph f, which has no statistics"):
        adapt(own, own.table().cost(own.table().whole), "eagleeye")


def test_the_notes_say_what_goes_together_and_what_stays(tmp_path):
    stem, hidden, back = residual().convs  # 2 x 16 rows reach the hidden layer, of 4 x 9 columns
    assert knob_of(residual().model(), tmp_path).notes == [
        "what reads fewer channels was solved anew by least squares on the inputs given",
        f"so few inputs say little of {hidden}, fc: fewer rows than columns",
        f"turned together: {stem}, {back}",
        "fc keeps its width: y is an output of the graph",
    ]


def test_what_was_cut_is_solved_anew_but_with_no_epochs(tmp_path):
    knob = knob_of(residual().model(), tmp_path)
    choice = dict.fromkeys(knob.table().levels, 1)
    cut, finished = knob.start(choice), knob.finished(choice, 0.0)
    assert knob.quality(finished) < knob.quality(cut)
    assert knob.layer_costs(finished) == knob.layer_costs(cut)
    as_it_is = replace(knob, epochs=0).finished(choice, 0.0)
    assert as_it_is.model == cut.model


def test_a_part_of_a_graph_and_a_graph_without_widths_are_refused(tmp_path):
    with pytest.raises(BadInput, match="must be the whole graph: its widths hang together"):
        knob_of(residual().model(), tmp_path, "fc")
    built = Builder()
    built.fully("x", 3 * 16, "Gemm")
    with pytest.raises(BadInput, match="has no width that can change: fc keeps its width: y is an output of the graph"):
        knob_of(built.model(), tmp_path)
