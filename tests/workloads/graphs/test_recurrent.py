"""Do the matrices of recurrent layers in an ONNX graph get what reaches them at each step: the inputs and the state?"""

import numpy as np
import pytest

from tests.onnx_models import address, helper, loaded, model_of, normal, product_of, reference
from workloads.graphs.feed import Feed

N_STEPS, N_BATCH, N_IN, N_HIDDEN = 4, 2, 5, 3
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def network(kind, direction="forward", has_bias=True, has_start=False, outputs=("states",), **settings):
    n_places, n_rows = DIRECTIONS[direction], GATES[kind] * N_HIDDEN
    stored = {"w": normal(n_places, n_rows, N_IN), "r": normal(n_places, n_rows, N_HIDDEN)}
    if has_bias:
        stored["b"] = normal(n_places, 2 * n_rows)
    inputs = {"x": (N_STEPS, N_BATCH, N_IN)} | ({"start": (n_places, N_BATCH, N_HIDDEN)} if has_start else {})
    names = ["x", "w", "r", "b" if has_bias else "", "", "start" if has_start else ""]
    node = helper.make_node(kind, names, [*outputs], name="rec", hidden_size=N_HIDDEN, direction=direction, **settings)
    model = model_of([node], inputs, stored, [name for name in outputs if name])
    return model, {name: normal(*shape, seed=7) for name, shape in inputs.items()}, stored


def steps_of(kind: str, w_sums: np.ndarray, r_sums: np.ndarray, before: np.ndarray, cell: np.ndarray, r_half, stored):
    """Return the next state and cell from the sums of both matrices at one step. Source: ONNX operators."""
    parts_w, parts_r = np.split(w_sums, GATES[kind], -1), np.split(r_sums, r_sums.shape[-1] // N_HIDDEN, -1)
    if kind == "RNN":
        return np.tanh(w_sums + r_sums), cell
    if kind == "LSTM":
        i, o, f = (sigmoid(parts_w[at] + parts_r[at]) for at in range(3))
        cell = f * cell + i * np.tanh(parts_w[3] + parts_r[3])
        return o * np.tanh(cell), cell
    z, r = (sigmoid(parts_w[at] + parts_r[at]) for at in range(2))
    inner = r * parts_r[2] if len(parts_r) == 3 else (r * before) @ r_half.T + stored
    return (1 - z) * np.tanh(parts_w[2] + inner) + z * before, cell


@pytest.mark.parametrize("has_start", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    ("kind", "settings"), [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}), ("RNN", {})]
)
def test_the_states_follow_from_what_reaches_both_matrices(tmp_path, kind, settings, direction, has_bias, has_start):
    model, feeds, stored = network(kind, direction, has_bias, has_start, **settings)
    (states,) = reference(model, feeds, "states")
    layers = {layer.name: layer for layer in loaded(tmp_path, model, feeds).layers}
    n_rows = GATES[kind] * N_HIDDEN
    for place in range(DIRECTIONS[direction]):
        is_backward = direction == "reverse" or place == 1
        suffix = "" if direction != "bidirectional" else (".forward", ".backward")[place]
        from_inputs, from_state = layers[f"rec.W{suffix}"], layers[f"rec.R{suffix}"]
        n_state = 2 * N_HIDDEN if kind == "GRU" and not settings else n_rows
        np.testing.assert_array_equal(from_inputs.weights, stored["w"][place])
        np.testing.assert_array_equal(from_state.weights, stored["r"][place][:n_state])
        assert (from_inputs.kind, from_state.kind) == (kind, kind)
        assert (from_inputs.batch, from_inputs.positions) == (N_BATCH, N_STEPS)
        assert (from_state.batch, from_state.positions) == (N_BATCH, N_STEPS)
        # Rows of one sequence stand together: all its steps, then those of the next.
        rows = from_inputs.activations.reshape(N_BATCH, N_STEPS, N_IN)
        np.testing.assert_array_equal(rows, feeds["x"].swapaxes(0, 1))
        start = feeds["start"][place] if has_start else np.zeros((N_BATCH, N_HIDDEN))
        order = range(N_STEPS - 1, -1, -1) if is_backward else range(N_STEPS)
        sums = [product_of(layer).reshape(N_BATCH, N_STEPS, -1) for layer in (from_inputs, from_state)]
        before = from_state.activations.reshape(N_BATCH, N_STEPS, N_HIDDEN)
        np.testing.assert_array_equal(before[:, order[0]], start)
        cell = np.zeros((N_BATCH, N_HIDDEN))
        third = stored["r"][place][2 * N_HIDDEN :]
        added = stored["b"][place][n_rows + 2 * N_HIDDEN :] if has_bias else 0
        for step in order:
            state, cell = steps_of(kind, sums[0][:, step], sums[1][:, step], before[:, step], cell, third, added)
            np.testing.assert_allclose(state, states[step, place], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("outputs", [("", "last"), ("states", "last")])
def test_the_states_are_had_where_the_graph_gives_only_the_last(tmp_path, outputs):
    model, feeds, _ = network("LSTM", outputs=outputs)
    model_of_all, _, _ = network("LSTM")
    (states,) = reference(model_of_all, feeds, "states")
    _, from_state = loaded(tmp_path, model, feeds).layers
    before = from_state.activations.reshape(N_BATCH, N_STEPS, N_HIDDEN)
    np.testing.assert_array_equal(before[:, 1:], states[:-1, 0].swapaxes(0, 1))


def test_a_start_that_is_stored(tmp_path):
    model, feeds, _ = network("RNN", has_start=True)
    stored = model_of([], {}, {"start": feeds["start"]}).graph.initializer
    model.graph.initializer.extend(stored)
    del model.graph.input[1]
    _, from_state = loaded(tmp_path, model, {"x": feeds["x"]}).layers
    before = from_state.activations.reshape(N_BATCH, N_STEPS, N_HIDDEN)
    np.testing.assert_array_equal(before[:, 0], feeds["start"][0])


def with_a_matrix(model):
    """Return the model with a matrix behind the recurrent node, so that one layer is there in any case."""
    model.graph.node.append(helper.make_node("MatMul", ["states", "fc.weight"], ["y"]))
    model.graph.output[0].name = "y"
    model.graph.initializer.extend(model_of([], {}, {"fc.weight": normal(N_HIDDEN, 2)}).graph.initializer)
    return model


def test_sequences_of_lengths_of_their_own_are_passed_over(tmp_path):
    """The steps behind a sequence's end are not computed, and no machine's cycles stand for them."""
    model, feeds, _ = network("GRU")
    model.graph.node[0].input[4] = "lengths"
    model.graph.initializer.extend(model_of([], {}, {"lengths": np.array([4, 2], np.int32)}).graph.initializer)
    whole = loaded(tmp_path, with_a_matrix(model), feeds)
    assert [layer.name for layer in whole.layers] == ["fc"]
    n_weights = GATES["GRU"] * N_HIDDEN * (N_IN + N_HIDDEN)
    share = 100 * n_weights / (n_weights + 2 * N_HIDDEN)
    assert whole.notes[0].startswith(f"passed over, with {share:.1f}% of the weights: rec (GRU: its sequences")


def test_another_layout_is_passed_over(tmp_path):
    model, _, _ = network("RNN", layout=1)
    path = tmp_path / "f.onnx"
    path.write_bytes(with_a_matrix(model).SerializeToString())
    # onnxruntime itself does not run it: only its weights are asked for.
    assert list(address.layers(path)) == ["fc"]


@pytest.mark.parametrize("n", [None, 2])
def test_the_batch_of_a_recurrent_layer_lies_along_the_second_axis(tmp_path, n):
    """A graph of one sequence runs once for each, and its steps are positions."""
    model, _, _ = network("LSTM")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    rows = normal(N_STEPS, 3, N_IN)
    from_inputs, _ = loaded(tmp_path, model, {"x": rows}).layers
    assert (from_inputs.batch, from_inputs.positions) == (3, N_STEPS)
    np.testing.assert_array_equal(from_inputs.activations.reshape(3, N_STEPS, N_IN), rows.swapaxes(0, 1))
    drawn, _ = address.model(tmp_path / "f.onnx", "*", Feed(n=n)).layers
    assert (drawn.batch, drawn.positions) == (n or 1, N_STEPS)
