"""The steps of a recipe, each of which takes a State to the next: prune, share, quantise, permute, and all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from workloads.errors import BadInput
from workloads.pruning.criteria import CRITERIA, Evidence
from workloads.pruning.obs import by_groups, gptq, sparsegpt
from workloads.pruning.patterns import global_masks, mask, pattern
from workloads.pruning.permute import fold, permute_inputs
from workloads.pruning.ranks import checked_density
from workloads.pruning.ratios import per_layer
from workloads.quantisation.quantise import awq, round_to_nearest
from workloads.quantisation.share import share
from workloads.readers.state_dict import few
from workloads.recipes.cuts import Depth, Width
from workloads.recipes.repair import Recalibrate, Reconstruct, Tune
from workloads.recipes.state import State, Step, naming, number, one_of, whole
from workloads.recipes.subjects import Subject
from workloads.recipes.within import Adapt


@dataclass(frozen=True, kw_only=True)
class Prune(Step):
    """Keep the groups of a pattern that score highest: see workloads.pruning.patterns and workloads.pruning.scores.

    density: the share kept, or {glob: share}, the last that fits; left out for N:M. criterion: one of CRITERIA, or
    "sparsegpt", which also moves the kept weights. p: of magnitude. within: "layer" or "row" (the default of wanda).
    scope: "layer", or "global" for one ranking over all, with at least `floor` of each. allow_empty: whether a whole
    matrix may go.
    """

    pattern: str = "element"
    density: float | Mapping[str, float] | None = None
    criterion: str = "magnitude"
    p: float = 1.0
    within: str | None = None
    scope: str = "layer"
    floor: float | None = None
    allow_empty: bool = False
    do: ClassVar[str] = "prune"

    def __post_init__(self):
        super().__post_init__()
        kind = pattern(self.pattern)
        one_of("criterion", self.criterion, (*CRITERIA, "sparsegpt"))
        one_of("scope", self.scope, ("layer", "global"))
        if self.within is not None:
            one_of("within", self.within, ("layer", "row"))
        number("p", self.p, above=0)
        if self.p != 1 and self.criterion != "magnitude":
            raise BadInput(f"p belongs to criterion 'magnitude', got {self.p!r} with {self.criterion!r}")
        if not isinstance(self.allow_empty, bool):
            raise BadInput(f"allow_empty must be true or false, got {self.allow_empty!r}")
        if kind.m and self.density not in (None, kind.n / kind.m):
            raise BadInput(
                f"density of pattern {kind.name!r} is {kind.n / kind.m:g}: leave it out, got {self.density!r}"
            )
        for density in self.density.values() if isinstance(self.density, Mapping) else [self.density]:
            if not (density is None and kind.m):
                checked_density(density)
        if self.scope == "global":
            if self.within is not None or kind.m or isinstance(self.density, Mapping):
                raise BadInput("scope 'global' takes one density, a pattern other than N:M, and no within")
        elif self.floor is not None:
            raise BadInput(f"floor belongs to scope 'global', got {self.floor!r} with scope 'layer'")
        if self.criterion == "sparsegpt" and (
            (kind.name != "element" and not kind.m) or self.scope == "global" or self.within is not None
        ):
            raise BadInput("criterion 'sparsegpt' takes pattern element or N:M, scope 'layer' and no within")
        if self.criterion in ("lasso", "thinet") and (kind.name != "channel" or self.scope == "global"):
            raise BadInput(f"criterion {self.criterion!r} takes pattern 'channel' and scope 'layer'")

    def densities(self, known: Iterable[str]) -> dict[str, float | None]:
        """Return {name: density} of the matrices pruned, None for an N:M pattern's own. Raises BadInput."""
        names = self.names(known)
        by_glob = self.density if isinstance(self.density, Mapping) else None
        return dict.fromkeys(names, self.density) if by_glob is None else per_layer(names, by_glob)

    def apply(self, state: State) -> State:
        matrices, seen = state.current.matrices, state.evidence()
        densities = self.densities(matrices)
        names = list(densities)
        if self.criterion == "sparsegpt":
            state.check_free(names)
            changed = {name: self._moved(name, seen.parts(name), d) for name, d in densities.items()}
            pruned = state.with_weights(changed, bits=state.unshared(names))
        else:
            scores = {name: CRITERIA[self.criterion](seen, name, self) for name in names}
            masks = self._masks(scores, state.current, densities)
            changed = {name: np.where(masks[name], matrices[name], np.float32(0)) for name in names}
            pruned = state.with_weights(changed)
        empty = [name for name in names if matrices[name].any() and not changed[name].any()]
        if empty and not self.allow_empty:
            raise BadInput(
                f"matrix {empty[0]!r} would be pruned away whole: raise density or floor, or set allow_empty = true"
            )
        return pruned

    def notes(self, before: State, behind: State) -> list[str]:
        matrices, m = before.current.matrices, pattern(self.pattern).m
        short = [name for name in self.names(matrices) if m and matrices[name].shape[1] % m]
        said = f"a row's last group of {self.pattern} is short, and filled up with zeros where a machine takes them"
        return [f"{said}: {few(short)}"] if short else []

    def _moved(self, name: str, parts: Sequence[tuple[np.ndarray, np.ndarray]], density: float | None) -> np.ndarray:
        kind = pattern(self.pattern)
        choice = {"n_m": (kind.n, kind.m)} if kind.m else {"density": density}
        with naming(name):
            return by_groups(parts, lambda weights, of_inputs: sparsegpt(weights, of_inputs, **choice))

    def _masks(
        self, scores: Mapping[str, np.ndarray], network: Subject, densities: Mapping[str, float | None]
    ) -> dict[str, np.ndarray]:
        kernels, groups = network.kernels, network.groups
        if self.scope == "global":
            options = {
                "floor": 0.0 if self.floor is None else self.floor,
                "kernels": [kernels[name] for name in scores],
                "blocks": [groups[name] for name in scores],
            }
            masks = global_masks([*scores.values()], self.pattern, self.density, **options)
            return dict(zip(scores, masks, strict=True))
        in_rows = self.criterion == "wanda" and pattern(self.pattern).width is not None  # a filter is a whole row
        within, masks = self.within or ("row" if in_rows else "layer"), {}
        for name, values in scores.items():
            with naming(name):
                sizes = {"kernel": kernels[name], "blocks": groups[name]}
                masks[name] = mask(values, self.pattern, densities[name], **sizes, within=within)
        return masks


@dataclass(frozen=True, kw_only=True)
class Share(Step):
    """Let 2**bits - 1 centroids and zero stand for all weights and biases of a matrix: see quantisation.share."""

    bits: int = 4
    method: str = "exact"
    do: ClassVar[str] = "share"

    def __post_init__(self):
        super().__post_init__()
        whole("bits", self.bits, 1, 8)
        one_of("method", self.method, ("exact", "linear"))

    def apply(self, state: State) -> State:
        names = self.names(state.current.matrices)
        # What the machines multiply with is the folded matrix, so it is the one that takes few values.
        network = state.current.folded()
        layers = {layer.name: layer for layer in network.workloads(state.inputs, 1)}
        shared = {name: share(layers[name], self.bits, self.method) for name in names}
        network = network.with_parameters({name: (layer.blocks, layer.bias) for name, layer in shared.items()})
        bits = {**state.bits, **dict.fromkeys(names, self.bits)}
        return replace(
            state, current=network, dense=state.dense.folded(), bits=bits, quantised=state.quantised - set(names)
        )


@dataclass(frozen=True, kw_only=True)
class Quantise(Step):
    """Round weights to symmetric grids: "rtn", "gptq" or "awq"; one per "tensor", "channel" or group of a size."""

    bits: int = 4
    method: str = "rtn"
    per: str | int = "channel"
    do: ClassVar[str] = "quantise"

    def __post_init__(self):
        super().__post_init__()
        whole("bits", self.bits, 2, 8)
        one_of("method", self.method, ("rtn", "gptq", "awq"))
        if isinstance(self.per, bool) or not (
            self.per in ("tensor", "channel") or (isinstance(self.per, int) and self.per >= 1)
        ):
            raise BadInput(f"per must be 'tensor', 'channel' or a group size of at least 1, got {self.per!r}")

    def apply(self, state: State) -> State:
        matrices, seen, changed = state.current.matrices, state.evidence(), {}
        names = self.names(matrices)
        state.check_free(names)
        for name in names:
            with naming(name):
                changed[name] = self._rounded(matrices[name], seen, name)
        return state.with_weights(changed, bits=state.unshared(names), quantised=state.quantised | set(names))

    def _rounded(self, weights: np.ndarray, seen: Evidence, name: str) -> np.ndarray:
        if self.method == "rtn":
            return round_to_nearest(weights, self.bits, self.per).weights
        parts = seen.parts(name)
        if self.per == "tensor" and len(parts) > 1:
            raise BadInput(
                f"per must be 'channel' or a size for {len(parts)} groups, got 'tensor' with {self.method!r}"
            )
        if self.method == "awq":
            return np.concatenate([awq(*part, self.bits, self.per).weights for part in parts])
        grid = {"bits": self.bits, "per": self.per}
        return by_groups(parts, lambda part, of_inputs: gptq(part, of_inputs, **grid, mask=part != 0).weights)


@dataclass(frozen=True, kw_only=True)
class Permute(Step):
    """Order a matrix's inputs so that N:M keeps the most, and the outputs of the matrix before alike."""

    pattern: str = "2:4"
    kicks: int = 100
    do: ClassVar[str] = "permute"

    def __post_init__(self):
        super().__post_init__()
        if not pattern(self.pattern).m:
            raise BadInput(f"pattern must be N:M, such as 2:4, got {self.pattern!r}")
        whole("kicks", self.kicks, 0, 10**6)

    def apply(self, state: State) -> State:
        kind = pattern(self.pattern)
        state = replace(state, current=state.current.folded(), dense=state.dense.folded())
        for name in self.names(state.current.matrices):
            weights, first = state.current.matrices[name], state.current.before.get(name)
            if first is None or len(state.current.matrices[first]) != weights.shape[1]:
                raise BadInput(
                    f"matrix {name!r} has no matrix before it that gives each of its {weights.shape[1]} inputs: "
                    f"add it to ignore"
                )
            state.check_free([name, first])
            with naming(name):
                order = permute_inputs(weights, (kind.n, kind.m), n_kicks=self.kicks, seed=state.seed)
            columns, rows = fold(order)
            network, dense = (_permuted(one, name, first, columns, rows) for one in (state.current, state.dense))
            state = replace(state, current=network, dense=dense)
        return state


STEPS: Mapping[str, type[Step]] = {
    step.do: step for step in (Prune, Share, Quantise, Reconstruct, Recalibrate, Permute, Tune, Depth, Width, Adapt)
}


def _permuted(network: Subject, name: str, first: str, columns: np.ndarray, rows: np.ndarray) -> Subject:
    matrices, biases = network.matrices, network.biases
    bias = None if biases[first] is None else biases[first][rows]
    return network.with_parameters(
        {name: (matrices[name][:, columns], biases[name]), first: (matrices[first][rows], bias)}
    )
