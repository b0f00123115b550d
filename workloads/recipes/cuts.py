"""The steps that make a transformer smaller and leave it dense: depth takes blocks, width neurons, heads, channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from workloads.errors import BadInput
from workloads.networks import cut
from workloads.networks.blocks import Blocks
from workloads.pruning.reconstruct import least_squares
from workloads.pruning.structured import highest
from workloads.recipes.evidence import N_COLUMNS
from workloads.recipes.state import State, Step, naming, one_of, whole
from workloads.recipes.structure import OF_DEPTH, OF_WIDTH, SCORES, blocks_to_drop, protected
from workloads.recipes.subjects import Transformer
from workloads.records import Layer


@dataclass(frozen=True, kw_only=True)
class Cut(Step):
    """A step that makes a smaller dense network, which later steps are measured against; it works on the whole of it.

    Criteria look at the first samples of the calibration, of 8,192 tokens.
    """

    def __post_init__(self):
        super().__post_init__()
        if self.targets != ("*",) or self.ignore:
            raise BadInput(f"targets and ignore are not for {self.do}, which cuts the whole network")

    def notes(self, before: State, behind: State) -> list[str]:
        n_before, n_behind = (sum(m.size for m in state.current.matrices.values()) for state in (before, behind))
        return [f"leaves {n_behind:,} of {n_before:,} weights, {n_behind / n_before:.1%}"]

    def _network_and_samples(self, state: State) -> tuple[Blocks, Any]:
        if not isinstance(state.current, Transformer):
            raise BadInput(f"{self.do} takes an encoder or a decoder, whose blocks and heads are known")
        network = state.current.network
        return network, network.first(state.inputs, N_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class Depth(Cut):
    """Keep so many blocks, those that a criterion of OF_DEPTH values most; they keep their names."""

    blocks: int | None = None
    criterion: str = "influence"
    do: ClassVar[str] = "depth"

    def __post_init__(self):
        super().__post_init__()
        one_of("criterion", self.criterion, OF_DEPTH)
        if self.blocks is None:
            raise BadInput("depth must say how many blocks stay, such as blocks = 6")

    def apply(self, state: State) -> State:
        network, samples = self._network_and_samples(state)
        whole("blocks", self.blocks, 1, network.n_layers)
        safe = protected(network.layers, self.criterion)
        if self.blocks < len(safe):
            names = ", ".join(map(str, safe))
            raise BadInput(
                f"blocks must be at least {len(safe)}: {self.criterion!r} takes none of {names}, got {self.blocks}"
            )
        gone = blocks_to_drop(network, samples, network.n_layers - self.blocks, self.criterion, state.seed)
        left = Transformer(network.without(gone))
        return replace(
            state,
            current=left,
            dense=Transformer(state.dense.network.without(gone)),
            bits={name: bits for name, bits in state.bits.items() if name in left.matrices},
            quantised=state.quantised & set(left.matrices),
        )

    def notes(self, before: State, behind: State) -> list[str]:
        left = behind.current.network.layers
        gone = [layer for layer in before.current.network.layers if layer not in left]
        said = [f"takes block{'s' * (len(gone) > 1)} {', '.join(map(str, gone))}"] if gone else []
        return [*said, *super().notes(before, behind)]


@dataclass(frozen=True, kw_only=True)
class Width(Cut):
    """Keep so many neurons, heads and channels of every block, those that a criterion of OF_WIDTH values most.

    ffn: neurons of each feed-forward part; heads: of each block, as many in each group that shares a key and a value;
    hidden: channels of the states, the same in all blocks. reconstruct: whether the matrices that then read less are
    solved for again, by least squares, to give what they gave before.
    """

    ffn: int | None = None
    heads: int | None = None
    hidden: int | None = None
    criterion: str = "activation"
    reconstruct: bool = True
    do: ClassVar[str] = "width"

    def __post_init__(self):
        super().__post_init__()
        one_of("criterion", self.criterion, OF_WIDTH)
        if self.ffn is self.heads is self.hidden is None:
            raise BadInput("width must say what stays: ffn, heads or hidden, got none of them")
        if not isinstance(self.reconstruct, bool):
            raise BadInput(f"reconstruct must be true or false, got {self.reconstruct!r}")

    def apply(self, state: State) -> State:
        network, samples = self._network_and_samples(state)
        self._check(network)
        state.check_free(state.current.matrices)
        for part in ("ffn", "heads", "hidden"):
            if (n := getattr(self, part)) is not None:
                state = self._narrowed(state, samples, part, n)
        return replace(state, bits={} if self.reconstruct else state.bits)

    def _check(self, network: Blocks) -> None:
        """Raise BadInput for a width that the network does not have."""
        for key, most in (("ffn", network.n_neurons), ("hidden", network.width), ("heads", network.n_heads)):
            if (value := getattr(self, key)) is not None:
                whole(key, value, 1, most)
        n_groups = network.n_groups
        if self.heads is not None and n_groups < network.n_heads and self.heads % n_groups:
            raise BadInput(
                f"heads must be a multiple of {n_groups}, as many for each key and value as for any other, "
                f"got {self.heads}"
            )

    def _narrowed(self, state: State, samples: Any, part: str, n: int) -> State:
        network = state.current.network
        scores = SCORES[part](network, samples, self.criterion, state.seed)
        n_groups = network.n_groups if part == "heads" and network.n_groups < network.n_heads else 1
        if part == "hidden":
            chosen: Any = highest(scores, n)
        else:
            chosen = {layer: highest(values, n, n_groups) for layer, values in scores.items()}

        def narrowed(whole_network: Blocks) -> Transformer:
            narrow = CUTS[part](whole_network, chosen)
            return Transformer(refitted(whole_network, narrow, samples, part, chosen) if self.reconstruct else narrow)

        current = narrowed(network)
        dense = current if state.dense.network is network else narrowed(state.dense.network)
        return replace(state, current=current, dense=dense)


CUTS: Mapping[str, Any] = {"ffn": cut.neurons, "heads": cut.heads, "hidden": cut.channels}


def refitted(dense: Blocks, narrow: Blocks, samples: Any, part: str, chosen: Any) -> Blocks:
    """Return the narrow network with the matrices that read less solved for again, block by block.

    Each gives as nearly as it can, of what reaches it by then, what it gave in the dense network (He, Zhang and Sun
    2017, section 3.2). chosen: what stays, as the cut took it. Raises BadInput for a matrix with zeros.
    """
    writers = (dense.OUTPUT, dense.NARROWER)
    readers = {"ffn": (dense.NARROWER,), "heads": (dense.OUTPUT,), "hidden": dense.parts()}[part]
    reached = dense.inputs(samples)
    stages: list[Iterable[str]] = [[narrow.prefix(layer) + name for name in readers] for layer in narrow.layers]
    if part == "hidden":
        stages.append(name for name in narrow.names if not name.startswith(narrow.PREFIX))
    for names in stages:
        reaching, arrays = narrow.inputs(samples), dict(narrow.arrays)
        for name in names:
            weights, matrix = narrow.matrices[name], dense.matrices[name]
            if n_zeros := np.count_nonzero(weights == 0):
                raise BadInput(
                    f"matrix {name!r}: least squares would fill its {n_zeros} zeros: put width first, or set "
                    f"reconstruct = false"
                )
            targets = Layer(name=name, weights=matrix, bias=dense.biases[name], relu=False).forward(reached[name])
            if part == "hidden" and name.endswith(writers):
                targets = targets[:, chosen]
            with naming(name):
                stay = np.ones(weights.shape[1], bool)
                arrays[f"{name}.weight"], arrays[f"{name}.bias"] = least_squares(
                    reaching[name], targets, stay, start=weights
                )
        narrow = replace(narrow, arrays=arrays)
    return narrow
