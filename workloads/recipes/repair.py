"""The steps that make up for what others took: reconstruct, recalibrate and tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from workloads.errors import BadInput
from workloads.networks import descent, early_stopping
from workloads.networks.decoder import Decoder
from workloads.networks.gradual import Gradual
from workloads.networks.modules import BatchNorm
from workloads.networks.sequential import Sequential, with_statistics
from workloads.pruning.criteria import parts as parts_of
from workloads.pruning.obs import by_groups, sparsegpt
from workloads.pruning.ranks import checked_density
from workloads.pruning.ratios import per_layer
from workloads.pruning.reconstruct import least_squares
from workloads.quantisation.share import share
from workloads.recipes.evidence import N_COLUMNS
from workloads.recipes.state import State, Step, naming, number, one_of, whole
from workloads.recipes.subjects import Apart, Modules, Transformer
from workloads.records import Layer


@dataclass(frozen=True, kw_only=True)
class Reconstruct(Step):
    """Move the kept weights until a matrix gives again what the dense one gave.

    "least-squares" solves for all weights of the kept outputs and input channels, and the bias; "sweep" takes the dense
    weights to the present mask as SparseGPT does, whatever its pattern.
    """

    method: str = "least-squares"
    do: ClassVar[str] = "reconstruct"

    def __post_init__(self):
        super().__post_init__()
        one_of("method", self.method, ("least-squares", "sweep"))

    def apply(self, state: State) -> State:
        now, dense, changed = state.current, state.dense, {}
        names = self.names(now.matrices)
        state.check_free(names)
        seen, before = state.evidence(), state.dense.reaching(state.inputs, N_COLUMNS)
        for name in names:
            n, bias = now.groups[name], now.biases[name]
            parts = seen.parts(name), parts_of(dense.matrices[name], before[name], n)
            with naming(name):
                if self.method == "sweep":
                    masked = [(was, inputs, left != 0) for (left, inputs), (was, _) in zip(*parts, strict=True)]
                    changed[name] = by_groups(masked, lambda was, seen, mask: sparsegpt(was, seen, mask=mask)), bias
                    continue
                biases = ([None] * n if of is None else np.split(of, n) for of in (bias, dense.biases[name]))
                solved = [_solved(*part, now.kernels[name]) for part in zip(*parts, *biases, strict=True)]
            weights, biases = zip(*solved, strict=True)
            changed[name] = np.concatenate(weights), np.concatenate(biases)
        return replace(state, current=now.with_parameters(changed), bits=state.unshared(names))


@dataclass(frozen=True, kw_only=True)
class Recalibrate(Step):
    """Re-estimate the mean and variance of every batch normalisation on the calibration's inputs; all else stays.

    What reaches them has changed since they were learnt. Works on the whole network: targets and ignore are not for it.
    Source: EagleEye, Li et al. 2020, section 3.3 (adaptive batch normalisation).
    """

    do: ClassVar[str] = "recalibrate"

    def __post_init__(self):
        super().__post_init__()
        if self.targets != ("*",) or self.ignore:
            raise BadInput("targets and ignore are not for recalibrate, which looks at the whole network")

    def apply(self, state: State) -> State:
        if not _norms(state):
            return state
        return replace(state, current=Modules(with_statistics(state.current.network, state.inputs)))

    def notes(self, before: State, behind: State) -> list[str]:
        if not (n := _norms(before)):
            return ["no batch normalisation: nothing was re-estimated"]
        which = "1 batch normalisation" if n == 1 else f"{n} batch normalisations"
        return [f"mean and variance of {which} re-estimated on {len(before.inputs):,} inputs"]


@dataclass(frozen=True, kw_only=True)
class Tune(Step, descent.Training):
    """Train on the calibration's inputs and labels; zeros stay zero, shared values shared. Keys: see descent.Training.

    held_out: the share of the inputs that is not trained on but tells which epoch is best, the start among them, whose
    weights are then kept; patience: epochs without a better one after which the training ends (None: never). density:
    the share kept, or {glob: share}, to which every matrix is pruned by magnitude while it trains, by the end of
    end_epoch (None: half of them) and every `frequency` steps (see Gradual). Works on the whole network: targets and
    ignore are not for it.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    batch: int = 64
    schedule: str = "one-cycle"
    held_out: float = 0.1
    patience: int | None = None
    density: float | Mapping[str, float] | None = None
    end_epoch: int | None = None
    frequency: int = 10
    do: ClassVar[str] = "tune"

    def __post_init__(self):
        super().__post_init__()
        if self.targets != ("*",) or self.ignore:
            raise BadInput("targets and ignore are not for tune, which trains the whole network")
        whole("epochs", self.epochs, 1, 10**6)
        whole("batch", self.batch, 1, 10**9)
        for key in sorted(self._keys() - {"batch", "optimiser", "schedule"}):
            number(key, getattr(self, key))
        one_of("optimiser", self.optimiser, descent.OPTIMISERS)
        one_of("schedule", self.schedule, descent.SCHEDULES)
        number("held_out", self.held_out)
        if not self.held_out < 1:
            raise BadInput(f"held_out must be below 1, got {self.held_out!r}")
        if self.patience is not None:
            whole("patience", self.patience, 1, 10**6)
            if not self.held_out:
                raise BadInput(f"patience takes a share that is held_out, got {self.patience!r} with held_out 0")
        self._check_gradual()
        self._training(0)

    def _check_gradual(self) -> None:
        whole("frequency", self.frequency, 1, 10**9)
        if self.density is None:
            for key, unset in (("end_epoch", None), ("frequency", 10)):
                if getattr(self, key) != unset:
                    raise BadInput(f"{key} belongs to a density that is reached, got {getattr(self, key)!r} without")
            return
        for density in self.density.values() if isinstance(self.density, Mapping) else [self.density]:
            checked_density(density)
        if self.end_epoch is not None:
            whole("end_epoch", self.end_epoch, 1, self.epochs)

    def _gradual(self, state: State) -> Gradual | None:
        """Return what is pruned while it trains. Raises BadInput."""
        if self.density is None:
            return None
        if state.bits:
            raise BadInput("density is for weights that are not shared by now: put share behind it")
        by_glob = self.density if isinstance(self.density, Mapping) else {"*": self.density}
        end_epoch = self.end_epoch or -(-self.epochs // 2)
        densities = per_layer(state.current.matrices, by_glob)
        return Gradual(densities=densities, end_epoch=end_epoch, frequency=self.frequency)

    def apply(self, state: State) -> State:
        state.check_free(state.current.matrices)
        shared = [
            share(layer, state.bits[layer.name])
            for layer in (state.current.workloads(state.inputs, 1) if state.bits else ())
            if layer.name in state.bits
        ]
        training, gradual = self._training(state.seed), self._gradual(state)
        stopping = {"held_out": self.held_out, "patience": self.patience, "gradual": gradual}
        if isinstance(network := state.current.network, Decoder):
            network, best = early_stopping.fit(network, state.inputs, None, training, shared, **stopping)
            return replace(state, current=Transformer(network), tuned=best)
        network, inputs, labels = self._trained(state)
        if labels is None:
            raise BadInput("tune takes labels to learn from, the calibration has none")
        network, best = early_stopping.fit(network, inputs, labels, training, shared, **stopping)
        tuned, state = Modules(network), replace(state, tuned=best)
        if isinstance(state.current, Modules):
            return replace(state, current=tuned)
        parameters = {name: (matrix, tuned.biases[name]) for name, matrix in tuned.matrices.items()}
        return replace(state, current=state.current.with_parameters(parameters))

    def notes(self, before: State, behind: State) -> list[str]:
        best, end = behind.tuned, self._gradual(before)
        pruned = [] if end is None else [f"pruned every {end.frequency} steps until the end of epoch {end.end_epoch}"]
        if not best.n_held_out:
            return [*pruned, f"trained for {best.n_epochs} epochs, with no input held out to tell which is best"]
        which = f"kept epoch {best.epoch} of {best.n_epochs}" if best.epoch else f"none of {best.n_epochs} epochs kept"
        return [*pruned, f"{which}: least loss on {best.n_held_out} inputs held out of the calibration"]

    @staticmethod
    def _trained(state: State) -> tuple[Sequential, np.ndarray, np.ndarray | None]:
        """Return the modules as they are by now, with inputs and labels; of a graph, those that it is a chain of."""
        if isinstance(state.current, Modules):
            return state.current.network, state.inputs, state.labels
        if not isinstance(state.current, Apart):
            raise BadInput("tune takes modules in a row, an encoder is not trained here")
        if state.chain is None:
            raise BadInput("tune takes modules in a row, and the layers of a file without a graph stand apart")
        try:
            chain = state.chain()
        except BadInput as error:
            raise BadInput(f"tune takes a graph that is a chain of modules: {error}") from None
        matrices, biases = state.current.matrices, state.current.biases
        if left := [name for name in chain.network.matrices if name not in matrices]:
            raise BadInput(f"tune trains a whole graph, of which {left[0]!r} is not named: leave out the layers' names")
        network = Modules(chain.network).with_parameters({name: (matrices[name], biases[name]) for name in matrices})
        return network.network, chain.inputs, chain.labels

    def _training(self, seed: int) -> descent.Recipe:
        return descent.Recipe(n_epochs=self.epochs, seed=seed, **{key: getattr(self, key) for key in self._keys()})

    @staticmethod
    def _keys() -> set[str]:
        return {entry.name for entry in fields(descent.Training)}


def _norms(state: State) -> int:
    """Return how many batch normalisations a network has by now."""
    modules = state.current.network.modules.values() if isinstance(state.current, Modules) else ()
    return sum(isinstance(module, BatchNorm) for module in modules)


def _solved(
    now: tuple[np.ndarray, np.ndarray],
    dense: tuple[np.ndarray, np.ndarray],
    bias: np.ndarray | None,
    dense_bias: np.ndarray | None,
    kernel: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and bias of least squares for the outputs and channels that have weights; others stay.

    now, dense: (weights f32[out, in], what reaches them f32[samples, in]). Raises BadInput for zeros among those that
    are solved for.
    """
    (weights, inputs), (dense_weights, dense_inputs) = now, dense
    rows, channels = weights.any(axis=1), weights.reshape(len(weights), -1, kernel).any(axis=(0, 2))
    live = weights[rows]
    if n_zeros := np.count_nonzero(live[:, np.repeat(channels, kernel)] == 0):
        raise BadInput(f"least-squares would fill {n_zeros} zeros beside the weights that are kept: take 'sweep'")
    weights, bias = weights.copy(), np.zeros(len(weights), np.float32) if bias is None else bias.copy()
    if rows.any():
        targets = Layer(name="dense", weights=dense_weights, bias=dense_bias, relu=False).forward(dense_inputs)
        moved = least_squares(inputs, targets[:, rows], channels, start=live, kernel=kernel)
        weights[rows], bias[rows] = moved
    return weights, bias
