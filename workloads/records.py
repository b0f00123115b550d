"""The records that the front-end hands on: a dense Layer, a Workload, its Shape alone, a Network, a Model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from workloads.blas import one_thread
from workloads.errors import BadInput

# What reaches a layer: the values of the user's own inputs, those of random inputs, drawn ones, or all that are not 0.
REAL, RANDOM, DRAWN, DENSE = REACHED = ("real", "random", "drawn", "dense")
SAMPLE_SEED = 0  # of the positions that a sample takes


def plain_array(name: str, value) -> np.ndarray:
    """Return `value` as a plain array, a SciPy sparse matrix as the dense one. Raises BadInput where it is masked.

    A masked array's numbers under its mask are not meant, and np.asarray would bring them back.
    """
    if np.ma.is_masked(value):
        raise BadInput(f"{name} must have no masked elements, got {np.ma.count_masked(value)}: give .filled(0)")
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)


def checked_array(name: str, value, ndim: tuple[int, ...]) -> np.ndarray:
    """Return `value` as contiguous f32 with one of the allowed dimensions; every element finite, none missing.

    Raises BadInput naming the array, what was found and what would do.
    """
    array = given = plain_array(name, value)
    if array.dtype.kind not in "fiub":
        raise BadInput(f"{name} must be real numbers (f32), got dtype {array.dtype}")
    if array.ndim not in ndim:
        dims = " or ".join(f"{n}-D" for n in ndim)
        raise BadInput(f"{name} must be {dims}, got shape {array.shape}")
    if array.size == 0:
        raise BadInput(f"{name} must not be empty, got shape {array.shape}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    # A finite sum proves every element finite and is the cheaper test; only a sum that overflowed needs the longer one.
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = not np.isfinite(array.sum(dtype=np.float64))
    if suspect and not (finite := np.isfinite(array)).all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise BadInput(f"{name} must be finite f32, got {given[where]} at index {where}")
    return array


def blocks_of(matrix: np.ndarray, groups: int) -> np.ndarray:
    """Return [out, in / groups]: a matrix [out, in] without the zeros beside the blocks on its diagonal."""
    if groups == 1:
        return matrix
    n_out, n_in = matrix.shape[0] // groups, matrix.shape[1] // groups
    parts = matrix.reshape(groups, n_out, groups, n_in)
    return np.ascontiguousarray(parts[range(groups), :, range(groups)].reshape(len(matrix), n_in))


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One fully connected layer, y = act(W x + b).

    weights: f32[out, in]; bias: f32[out] or None; relu: whether act is max(0, .) or the identity.
    Raises BadInput on an empty, non-finite or mis-shaped array.
    """

    name: str
    weights: np.ndarray
    bias: np.ndarray | None = None
    relu: bool = True

    def __post_init__(self):
        object.__setattr__(self, "weights", checked_array("weights", self.weights, (2,)))
        if self.bias is not None:
            object.__setattr__(self, "bias", checked_array("bias", self.bias, (1,)))
            if self.bias.shape != (self.n_out,):
                raise BadInput(
                    f"bias must be f32[{self.n_out}] for weights {self.weights.shape}, got {self.bias.shape}"
                )

    @property
    def n_out(self) -> int:
        return self.weights.shape[0]

    @property
    def n_in(self) -> int:
        return self.weights.shape[1]

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Return the layer's outputs, f32[batch, out], for inputs f32[batch, in]; infinite what f32 cannot hold."""
        with np.errstate(over="ignore", invalid="ignore"):  # whoever takes them refuses them
            outputs = inputs @ self.weights.T
            if self.bias is not None:
                outputs += self.bias
        return np.maximum(outputs, 0, out=outputs) if self.relu else outputs


@dataclass(frozen=True, kw_only=True, eq=False)
class Workload(Layer):
    """A layer's matrix and the activations that reach it: dense weights with the zeros in place.

    activations: f32[batch, in] (f32[in] becomes a batch of one), or f32[batch * positions, in], an input's together.
    positions: how many products one input takes, as a convolution at each place of its output or a matrix at each
    token. sampled: how many of them the activations hold of each input (None: all). groups: how many blocks on its
    diagonal the matrix is made of. kernel: how many columns belong to one input channel. kind: what the operator is
    called where it comes from. reached: what the activations are, one of REACHED. weight_bits: of a stored weight,
    where the file quantised it.
    codes: u8[out, in] and codebook: f32[2**bits] with codebook[0] == 0, both or neither; then weights equal
    codebook[codes], code 0 stands where and only where the weight is zero, and the codebook holds every bias value.
    provenance: one line that says where it all comes from (source, seed, versions).
    """

    activations: np.ndarray
    codes: np.ndarray | None = None
    codebook: np.ndarray | None = None
    positions: int = 1
    sampled: int | None = None
    groups: int = 1
    kernel: int = 1
    kind: str = "matrix"
    reached: str = REAL
    weight_bits: int | None = None
    provenance: str = ""

    def __post_init__(self):
        super().__post_init__()
        activations = checked_array("activations", self.activations, (1, 2))
        object.__setattr__(self, "activations", np.atleast_2d(activations))
        if activations.shape[-1] != self.n_in:
            raise BadInput(
                f"activations must be f32[{self.n_in}] or f32[batch, {self.n_in}] for weights {self.weights.shape}, "
                f"got {activations.shape}"
            )
        if not 1 <= self.rows_of_input <= self.positions or len(self.activations) % self.rows_of_input:
            raise BadInput(
                f"activations must hold {self.rows_of_input} rows for each input ({self.positions} positions), "
                f"got {len(self.activations)}"
            )
        if self.groups < 1 or self.n_out % self.groups or self.n_in % self.groups:
            raise BadInput(f"groups must divide {self.n_out} outputs and {self.n_in} inputs, got {self.groups}")
        if self.kernel < 1 or self.n_in // self.groups % self.kernel:
            raise BadInput(f"kernel must divide the {self.n_in // self.groups} inputs of a group, got {self.kernel}")
        if self.reached not in REACHED:
            raise BadInput(f"reached must be one of {', '.join(REACHED)}, got {self.reached!r}")
        if (self.codes is None) != (self.codebook is None):
            raise BadInput("codes and codebook come together, got only one of them")
        if self.codes is not None:
            self._check_codes()

    def _check_codes(self):
        book, codes = self.codebook, self.codes
        if codes.dtype != np.uint8 or codes.shape != self.weights.shape:
            raise BadInput(f"codes must be u8{list(self.weights.shape)}, got {codes.dtype}{list(codes.shape)}")
        if (
            book.dtype != np.float32
            or book.ndim != 1
            or not 1 <= len(book) <= 256
            or book[0] != 0
            or not np.isfinite(book).all()
        ):
            raise BadInput(
                f"codebook must be finite f32[up to 256] with codebook[0] == 0, got {book.dtype}{list(book.shape)}"
            )
        if codes.max() >= len(book):
            raise BadInput(f"codes must be below {len(book)}, the length of the codebook, got {codes.max()}")
        for row, row_codes in zip(self.weights, codes, strict=True):
            if not np.array_equal(book[row_codes], row) or not np.array_equal(row_codes != 0, row != 0):
                raise BadInput(
                    "codes and codebook must give the weights exactly, with code 0 for zero and only for zero"
                )
        if self.bias is not None and not np.isin(self.bias, book).all():
            raise BadInput("bias must hold codebook values only when codes are given")

    @property
    def mask(self) -> np.ndarray:
        """bool[out, in]: which weights were kept."""
        return self.weights != 0

    @property
    def blocks(self) -> np.ndarray:
        """f32[out, in / groups]: the weights without the zeros beside the groups' blocks."""
        return blocks_of(self.weights, self.groups)

    @property
    def rows_of_input(self) -> int:
        """How many rows of the activations belong to one input."""
        return self.positions if self.sampled is None else self.sampled

    @property
    def batch(self) -> int:
        """How many inputs the activations are of."""
        return len(self.activations) // self.rows_of_input

    def first(self, n: int | None) -> Workload:
        """Return the workload with only its first n inputs (None: all)."""
        return self if n is None else replace(self, activations=self.activations[: n * self.rows_of_input])

    def sample(self, n: int | None) -> Workload:
        """Return the workload with n positions of each input, drawn with SAMPLE_SEED; as it is where it has no more."""
        if n is None or n >= self.rows_of_input:
            return self
        places = np.sort(np.random.default_rng(SAMPLE_SEED).permutation(self.rows_of_input)[:n])
        rows = self.activations.reshape(self.batch, self.rows_of_input, self.n_in)[:, places]
        return replace(self, activations=rows.reshape(-1, self.n_in), sampled=n)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A layer of which only the sizes are known: enough for a machine whose time does not depend on values.

    positions and groups: as a Workload has them. Raises BadInput for a size below 1.
    """

    name: str
    n_out: int
    n_in: int
    batch: int
    positions: int = 1
    groups: int = 1
    provenance: str = "sizes only"

    @classmethod
    def of(cls, layer: Workload, batch: int) -> Shape:
        """Return the sizes of a workload, for a batch."""
        sizes = {name: getattr(layer, name) for name in ("name", "n_out", "n_in", "positions", "groups")}
        return cls(**sizes, batch=batch)

    def __post_init__(self):
        for name in ("n_out", "n_in", "batch", "positions", "groups"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)} in {self.name}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Layers in order, and the inputs that enter the first.

    layers: Layer (dense) or Workload (compressed), each as wide as the one before gives; inputs: f32[batch, in];
    labels: int[batch] or None; provenance: one line on the source.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: np.ndarray
    labels: np.ndarray | None = None
    provenance: str = ""

    def __post_init__(self):
        if not self.layers:
            raise BadInput("layers must hold at least one layer, got none")
        object.__setattr__(self, "inputs", checked_array("inputs", self.inputs, (2,)))
        width = self.inputs.shape[1]
        for layer in self.layers:
            if layer.n_in != width:
                raise BadInput(f"layer {layer.name!r} must take {width} inputs, got weights {layer.weights.shape}")
            width = layer.n_out

    @property
    def batch(self) -> int:
        return self.inputs.shape[0]

    def first(self, n: int | None) -> Network:
        """Return the same network with only its first n inputs (None: all)."""
        labels = None if self.labels is None else self.labels[:n]
        return replace(self, inputs=self.inputs[:n], labels=labels)

    def forward(self, inputs: np.ndarray | None = None) -> list[np.ndarray]:
        """Return what leaves each layer, a list of f32[batch, out], for inputs f32[batch, in] (default: its own)."""
        signal = self.inputs if inputs is None else inputs
        return [signal := layer.forward(signal) for layer in self.layers]

    def accuracy(self) -> float:
        """Return the share of the network's own inputs that it classifies as labelled, 0 to 1."""
        if self.labels is None:
            raise BadInput(f"network {self.name!r} has no labels to be right or wrong about")
        return float((checked_array("outputs", self.forward()[-1], (2,)).argmax(axis=1) == self.labels).mean())


@dataclass(frozen=True, kw_only=True)
class Other:
    """An operator that is no product with stored weights: it is named, so that nothing is lost from a sum.

    kind: as the graph calls it. n_elements, n_bytes: of its outputs for one run of the graph, None where not known;
    n_macs: of a product of two values that are both computed. reason: why no machine takes it, where it has weights.
    """

    name: str
    kind: str
    n_elements: int | None = None
    n_bytes: int | None = None
    n_macs: int = 0
    n_weights: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """Operators in the order in which they run: Workloads, each with what reaches it, and Others; or sized ones.

    Sized ones, of which only the sizes are known, are those of transformers/operators.py.

    is_graph: whether they make one network, as whose sum theirs stands, or are layers apart. notes: what the reader of
    any result must know, such as what was passed over.
    """

    name: str
    operators: tuple[Any, ...]
    is_graph: bool = False
    provenance: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names) or all(isinstance(operator, Other) for operator in self.operators):
            raise BadInput(f"layers must be at least one, each with a name of its own, got {names}")

    @property
    def layers(self) -> tuple[Workload, ...]:
        """The products with stored weights: Workloads, and a cloud's SparseConvolutions (workloads.points)."""
        return tuple(operator for operator in self.operators if not isinstance(operator, Other))

    @property
    def others(self) -> tuple[Other, ...]:
        return tuple(operator for operator in self.operators if isinstance(operator, Other))

    def with_layers(self, layers: Iterable[Workload]) -> Model:
        """Return the model with other layers in the place of its own, in their order."""
        layers = iter(layers)
        put = tuple(operator if isinstance(operator, Other) else next(layers) for operator in self.operators)
        return replace(self, operators=put)


@one_thread()
def with_activations(network: Network) -> Network:
    """Return the network with every layer a Workload that holds the activations reaching it, f32[batch, in]."""
    layers, signal = [], network.inputs
    for layer in network.layers:
        if isinstance(layer, Workload):
            layers.append(replace(layer, activations=signal))
        else:
            plain = {field.name: getattr(layer, field.name) for field in fields(Layer)}
            layers.append(Workload(**plain, activations=signal, provenance=network.provenance))
        signal = layer.forward(signal)
    return replace(network, layers=tuple(layers))
