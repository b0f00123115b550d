"""A graph run by onnxruntime: any of its values for given inputs, as it computes them, and constants without inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.model_file import EXTRA
from workloads.graphs.structure import read_by, subgraphs
from workloads.readers.limits import most_bytes

MOST_LETTERS = 300  # of a complaint
UNSURE = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")


def run(model: Any, feeds: Mapping[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the values of those names for the inputs, each as onnxruntime computes it. Raises BadInput.

    On one thread and without rewriting the graph, so that equal inputs give equal bits.
    """
    import onnx

    names = list(dict.fromkeys(names))
    values = {name: feeds[name] for name in names if name in feeds}
    wanted = [name for name in names if name not in feeds]
    if not wanted:
        return values
    asking = onnx.ModelProto()
    asking.CopyFrom(model)
    nodes = _needed(model.graph, wanted)
    del asking.graph.node[:], asking.graph.output[:], asking.graph.value_info[:]
    asking.graph.node.extend(nodes)
    asking.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    session = _session(asking.SerializeToString())
    taken = {entry.name for entry in session.get_inputs()}
    try:
        results = session.run(wanted, {name: array for name, array in feeds.items() if name in taken}, _shrinking())
    except Exception as error:  # onnxruntime has errors of its own for every kernel
        raise BadInput(f"cannot be run on these inputs: {_said(error)}") from None
    return values | dict(zip(wanted, results, strict=True))


def _needed(graph: Any, names: Iterable[str]) -> list[Any]:
    """Return the nodes that those values hang on. Raises BadInput for a Loop among them, which need not end."""
    needed, nodes = set(names), []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        if node.op_type == "Loop":
            raise BadInput(f"computes what reaches a product in a Loop, {node.output[0]!r}: export it without one")
        needed |= read_by(node)
        nodes.append(node)
    return nodes[::-1]


def constant_names(graph: Any) -> set[str]:
    """Return the names of the values that hang on no input of the graph."""
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in UNSURE and not subgraphs(node) and all(name in known for name in node.input if name):
            known |= {name for name in node.output if name}
    return known


def constants(model: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the values of constants, computed where they are not stored as they are. Raises BadInput."""
    import onnx
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    names = list(dict.fromkeys(names))
    computed = [name for name in names if name not in stored]
    values = {name: numpy_helper.to_array(stored[name]) for name in names if name in stored}
    if computed:
        known, alone = constant_names(model.graph), onnx.ModelProto()
        alone.CopyFrom(model)
        nodes = [node for node in model.graph.node if any(name in known for name in node.output)]
        del alone.graph.node[:], alone.graph.input[:]
        alone.graph.node.extend(nodes)
        values |= run(alone, {}, computed)
    return values


@cache
def _runtime() -> Any:
    """Return onnxruntime with an allocator that stops before the machine's memory is full."""
    try:
        import onnxruntime
    except ImportError:
        raise BadInput(f"is an ONNX model, {EXTRA}") from None
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    exactly = 1  # what is asked for is had, not the next power of two
    settings = onnxruntime.OrtArenaCfg({"max_mem": most_bytes(), "arena_extend_strategy": exactly})
    onnxruntime.create_and_register_allocator(memory, settings)
    return onnxruntime


def _shrinking() -> Any:
    """Return options of a run that gives back its memory."""
    options = _runtime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    options.log_severity_level = 4
    return options


def _session(content: bytes) -> Any:
    onnxruntime = _runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=False)
    except Exception as error:
        raise BadInput(f"cannot be run: {_said(error)}") from None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:MOST_LETTERS] or type(error).__name__
