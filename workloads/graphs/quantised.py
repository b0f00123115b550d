"""Products of integers and of packed weights: what their weights stand for, and what reaches them as real numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workloads.graphs.nodes import Nodes, attributes

MOVING = ("Transpose", "Reshape", "Identity", "Cast", "Squeeze", "Unsqueeze")


@dataclass(frozen=True, kw_only=True, eq=False)
class Operands:
    """weights: f32[out, in, ...]; real: values by name -> the activations f32[...]; reads: those names."""

    weights: np.ndarray
    bits: int
    operand: int
    reads: tuple[str, ...]
    real: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    bias: np.ndarray | None = None


def bits_of(value: str, nodes: Nodes) -> int | None:
    """Return the bits of the integers that a constant is dequantised from, None where it is not."""
    node = nodes.producer.get(value)
    while node is not None and node.op_type in MOVING:
        node = nodes.producer.get(node.input[0])
    if node is None or node.op_type != "DequantizeLinear":
        return None
    return _type_bits(node.input[0], nodes)


def _type_bits(value: str, nodes: Nodes) -> int | None:
    from onnx import TensorProto

    kind = nodes.stored[value].data_type if value in nodes.stored else None
    names = {4: ("INT4", "UINT4"), 8: ("INT8", "UINT8"), 16: ("INT16", "UINT16"), 32: ("INT32",)}
    for bits, types in names.items():
        if kind in {getattr(TensorProto, name, -1) for name in types}:
            return bits
    return None


def _real(array: np.ndarray, scale: np.ndarray | float, zero: np.ndarray | None, axis: int = 0) -> np.ndarray:
    """Return (array - zero) * scale, f32; a scale or zero for each place of an axis lies along that one."""

    def along(number: np.ndarray | float) -> np.ndarray:
        number = np.asarray(number)
        return (
            number.reshape([-1 if at == axis % array.ndim else 1 for at in range(array.ndim)])
            if number.ndim
            else number
        )

    centred = array.astype(np.int64) - (0 if zero is None else along(np.squeeze(zero)).astype(np.int64))
    return (centred * along(np.squeeze(scale)).astype(np.float64)).astype(np.float32)


def _integer(node: Any, nodes: Nodes) -> Operands | str | None:
    """MatMulInteger and ConvInteger: integers times integers, whose scales stand beside them in the graph."""
    array = nodes.constant(node, 1)
    if array is None:
        return None
    weight_scale = _scale_after(node, nodes)
    source = nodes.origin(node.input[0])
    if weight_scale is None or source is None or source.op_type != "DynamicQuantizeLinear":
        return "the scale of its integers is not beside it"
    is_conv, value = node.op_type == "ConvInteger", node.input[0]
    scale, zero = source.output[1], node.input[2] if len(node.input) > 2 else ""
    weights = _real(array, weight_scale, nodes.constant(node, 3), 0 if is_conv else -1)
    return Operands(
        weights=weights if is_conv else np.swapaxes(weights, -1, -2),
        bits=8 * array.dtype.itemsize,
        operand=1,
        reads=(value, scale, zero),
        real=lambda values: _real(values[value], values[scale], values.get(zero)),
    )


def _scale_after(node: Any, nodes: Nodes) -> np.ndarray | None:
    """Return the weights' scale: a constant in the products that scale the sums. Source: ONNX Runtime's quantiser."""
    after = nodes.follower(node.output[0])
    if after is None or after.op_type != "Mul":
        return None
    for name in after.input:
        if name in nodes.values:
            return nodes.values[name]
        inner = nodes.origin(name)
        if inner is not None and inner.op_type == "Mul":
            constant = next((nodes.values[other] for other in inner.input if other in nodes.values), None)
            if constant is not None:
                return constant
    return None


def _qlinear(node: Any, nodes: Nodes) -> Operands | str | None:
    """QLinearMatMul and QLinearConv: the scales are inputs. Source: ONNX operators."""
    array, scale, zero = (nodes.constant(node, place) for place in (3, 4, 5))
    if array is None or scale is None:
        return None
    is_conv, value = node.op_type == "QLinearConv", node.input[0]
    weights = _real(array, scale, zero, 0 if is_conv else -1)
    signal_scale, bias = nodes.constant(node, 1), nodes.constant(node, 8) if is_conv else None
    return Operands(
        weights=weights if is_conv else np.swapaxes(weights, -1, -2),
        bits=8 * array.dtype.itemsize,
        operand=3,
        reads=(value, *node.input[1:3]),
        real=lambda values: _real(values[value], values[node.input[1]], values[node.input[2]]),
        bias=None if bias is None or signal_scale is None else (bias * signal_scale * scale).astype(np.float32),
    )


def _gemm(node: Any, nodes: Nodes) -> Operands | str | None:
    """com.microsoft QGemm: as QLinearMatMul, with Gemm's settings. Source: ONNX Runtime, ContribOperators."""
    array, scale, zero = (nodes.constant(node, place) for place in (3, 4, 5))
    if array is None or scale is None:
        return None
    settings, value = attributes(node), node.input[0]
    alpha, is_out_in = np.float32(settings.get("alpha", 1.0)), bool(settings.get("transB", 0))
    weights = alpha * _real(array, scale, zero, 0 if is_out_in else -1)
    bias, signal_scale = nodes.constant(node, 6), nodes.constant(node, 1)

    def real(values: Mapping[str, np.ndarray]) -> np.ndarray:
        signal = _real(values[value], values[node.input[1]], values[node.input[2]])
        return signal.T if settings.get("transA", 0) else signal

    known = bias is not None and signal_scale is not None
    return Operands(
        weights=weights if is_out_in else weights.T,
        bits=8 * array.dtype.itemsize,
        operand=3,
        reads=(value, *node.input[1:3]),
        real=real,
        bias=np.ravel(bias * (alpha * signal_scale * scale)).astype(np.float32) if known else None,
    )


def recurrent(node: Any, nodes: Nodes) -> tuple[np.ndarray, np.ndarray, int | None] | str:
    """Return the weights f32[directions, gates, in] for what enters and for the state, and the bits of their codes.

    com.microsoft DynamicQuantizeLSTM has them transposed, with a scale for each direction or gate. Source: ONNX
    Runtime, ContribOperators.
    """
    arrays = nodes.constant(node, 1), nodes.constant(node, 2)
    if any(array is None for array in arrays):
        return "its weights are computed"
    if node.op_type != "DynamicQuantizeLSTM":
        return *arrays, bits_of(node.input[1], nodes)
    weights = []
    for array, place in zip(arrays, (8, 10), strict=True):
        scale, zero = nodes.constant(node, place), nodes.constant(node, place + 1)
        if scale is None or zero is None:
            return "its scales are computed"
        shape = len(array), 1, -1
        real = (array.astype(np.float32) - zero.reshape(shape).astype(np.float32)) * scale.reshape(shape)
        weights.append(real.swapaxes(1, 2))
    return weights[0], weights[1], 8 * arrays[0].dtype.itemsize


def _dynamic(node: Any, nodes: Nodes) -> Operands | str | None:
    """com.microsoft DynamicQuantizeMatMul: real activations. Source: ONNX Runtime, ContribOperators."""
    array, scale = nodes.constant(node, 1), nodes.constant(node, 2)
    if array is None or scale is None:
        return None
    bias, value = nodes.constant(node, 4), node.input[0]
    return Operands(
        weights=_real(array, scale, nodes.constant(node, 3), -1).T,
        bits=8 * array.dtype.itemsize,
        operand=1,
        reads=(value,),
        real=lambda values: values[value],
        bias=bias,
    )


def _n_bits(node: Any, nodes: Nodes) -> Operands | str | None:
    """com.microsoft MatMulNBits: B u8[out, blocks, bytes], low bits first. Source: ONNX Runtime, ContribOperators."""
    packed, scales = nodes.constant(node, 1), nodes.constant(node, 2)
    if packed is None or scales is None:
        return None
    settings, value = attributes(node), node.input[0]
    n_in, n_out, bits, block = settings["K"], settings["N"], settings.get("bits", 4), settings["block_size"]
    if nodes.constant(node, 4) is not None:
        return "its columns are in an order of their own (g_idx)"
    if bits not in (2, 4, 8):
        return f"{bits} bits a weight"
    n_blocks = -(-n_in // block)
    if 8 * packed.size != n_out * n_blocks * block * bits:
        return f"its {packed.size:,} bytes are not {n_out} x {n_blocks} blocks of {block}"
    codes = _unpacked(packed.reshape(n_out, -1), bits)[:, :n_in]
    zeros = nodes.constant(node, 3)
    if zeros is None:
        zero = np.full((n_out, n_blocks), 2.0 ** (bits - 1))
    elif zeros.dtype == np.uint8:
        zero = _unpacked(zeros.reshape(n_out, -1), bits)[:, :n_blocks].astype(np.float64)
    else:
        zero = zeros.reshape(n_out, n_blocks).astype(np.float64)
    of_column = np.arange(n_in) // block
    weights = (codes - zero[:, of_column]) * scales.reshape(n_out, n_blocks).astype(np.float64)[:, of_column]
    return Operands(
        weights=weights.astype(np.float32),
        bits=bits,
        operand=1,
        reads=(value,),
        real=lambda values: values[value],
        bias=nodes.constant(node, 5),
    )


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((packed[..., None] >> shifts) & (2**bits - 1)).reshape(len(packed), -1)


OPERANDS: dict[str, Callable[[Any, Nodes], Operands | str | None]] = {
    "MatMulInteger": _integer,
    "ConvInteger": _integer,
    "QLinearMatMul": _qlinear,
    "QLinearConv": _qlinear,
    "QGemm": _gemm,
    "DynamicQuantizeMatMul": _dynamic,
    "MatMulNBits": _n_bits,
}
