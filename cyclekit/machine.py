"""What the kit needs to know of a machine, how installed machines are found, and how a network runs on one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from cyclekit.energy import Energy
from cyclekit.positions import inputs_of, played
from cyclekit.run import Run
from cyclekit.serving.cost import Serves
from cyclekit.spec import Chip, Spec
from cyclekit.trace.steps import Step
from cyclekit.trace.tracks import Track
from cyclekit.validation import Validation
from cyclekit.views import View
from workloads.errors import BadInput, did_you_mean
from workloads.points.convolution import SparseConvolution
from workloads.records import Network, Shape, Workload, with_activations

GROUP = "zeroskip.machines"  # the entry-point group in which a package announces its Machine

Progress = Callable[[str, float, float], None]  # called with (what is being done, done, total) as work goes on


def quiet(what: str, done: float, total: float) -> None:
    """Report no progress."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine's face.

    encode(workloads, spec) -> images: layers that stay in the machine together, as they lie in it before cycle 0.
    simulate(image, activations, spec, *, engine, check, index, progress) -> Run: one input through one layer;
    activations f32[in], or the former layer's Run, whose outputs enter as they are; progress(share done). A batched
    machine takes f32[batch, in] at a time; one that needs no values takes a Shape for a workload, activations None.
    estimate(workloads, spec, *, engine, check) -> (seconds, bytes) that encoding and running their batch will take.
    validate(progress) -> Validation: the machine against published figures.
    demo(folder, progress) -> Demo: a first look, with figures written into `folder`.
    explain(workload, spec, row, column) -> Explanation: how the weights at that place lie in the machine.
    energy(run, prices) -> Energy: what a run costs by a table of prices, one of `prices` {name: what to know of it};
    default_prices: the one that holds where none is named (None: none does).
    balance: what users call Run.load_balance.
    stored(image, spec) -> {part: bytes}: what the image takes in memory, which sums to the whole; "padding" is waste.
    suited(workload, spec) -> Spec: the spec with what the workload's own weights ask for, such as their N:M.
    spans(run, image, spec, *, begin, end, n_units) -> Tracks, one after the other: what each unit, or the first n_units
    of each kind, did in the ticks [begin, end) of a run; ticks_per_cycle of them are a cycle. None: no traces.
    steps(run, image, signal, spec, *, begin, end, n_units) -> Steps, one after the other: what those units worked on,
    with values; signal: what entered, as simulate takes it. None: none are shown.
    costs: about how many seconds and bytes "validate" and "demo" take, and "validate llm".
    model_version: part of the identity of what a sweep stores; raise it when a rule or the arithmetic changes.
    encoding_fields: those fields of the Spec that encode looks at; None: all of them.
    sweep_engine: the engine of a sweep where none is asked for; None: the first.
    views: what its figures show besides, or instead of, time, balance and energy against each field that varies.
    entrants: {label: fields changed} of each design that a comparison puts beside other machines'; "" needs no label.
    pattern(spec) -> the N:M that the weights must obey on a design, or None where they may be any.
    size_field: the field of the Spec that says how many of its units a design has, such as its PEs. None: none does.
    chip(spec) -> Chip: what a design is made in. None: not known.
    off_chip_bytes(run) -> bytes that a run moves to and from memory off the chip. None: not known.
    rests_on(spec, besides) -> what a result on a design rests on unverified, but for the fields `besides`: remarks.
    takes: the records of layers that it runs: Workloads, a cloud's SparseConvolutions (workloads.points).
    idle(spec) -> {field: why} of the fields that change nothing of any run on a design: neither time, nor energy.
    modules: the names of what its prices are of, in the order of their colours.
    cautions: {field: what a reader must know where it is varied}: what validation says against it, or what is free.
    estimate_point(layers, spec, *, engine) -> seconds that one input takes where the images are there already.
    serves: what it knows of whole language models. None: nothing. validate_models(progress) -> Validation: those
    against measured ones.
    """

    name: str
    title: str
    spec: type[Spec]
    presets: Mapping[str, Spec]  # the first is the default
    preset_notes: Mapping[str, str]
    engines: tuple[str, ...]  # the first is the default
    encode: Callable[..., Any]
    simulate: Callable[..., Any]
    estimate: Callable[..., tuple[float, int]]
    validate: Callable[..., Validation]
    draw_validation: Callable[[Validation, Path], Sequence[Path]]
    demo: Callable[..., Demo]
    explain: Callable[..., Explanation]
    stored: Callable[[Any, Any], Mapping[str, float]]
    suited: Callable[[Workload, Any], Any]
    costs: Mapping[str, tuple[float, float]]
    batched: bool = False
    needs_values: bool = True
    takes: tuple[type, ...] = (Workload,)
    energy: Callable[[Run, str], Energy] | None = None
    prices: Mapping[str, str] = field(default_factory=dict)
    default_prices: str | None = None
    balance: str = "load balance"
    spans: Callable[..., Iterable[Track]] | None = None
    ticks_per_cycle: int = 1
    steps: Callable[..., Iterable[Step]] | None = None
    model_version: int = 1
    encoding_fields: tuple[str, ...] | None = None
    estimate_point: Callable[..., float] | None = None
    sweep_engine: str | None = None
    views: tuple[View, ...] = ()
    entrants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    size_field: str | None = None
    pattern: Callable[[Any], str | None] = lambda spec: None
    chip: Callable[[Any], Chip] | None = None
    off_chip_bytes: Callable[[Run], float] | None = None
    idle: Callable[[Any], Mapping[str, str]] = lambda spec: {}
    rests_on: Callable[[Any, Iterable[str]], Iterable[str]] = lambda spec, besides: ()
    modules: tuple[str, ...] = ()
    cautions: Mapping[str, str] = field(default_factory=dict)
    serves: Serves | None = None
    validate_models: Callable[..., Validation] | None = None

    def layers_and_inputs(
        self, work: Workload | Network | Shape, n_inputs: int | None = None, batch: int | None = None
    ) -> tuple[list[Workload | Shape], Sequence[Any]]:
        """Return the layers of a workload, and what enters the first of them, one after the other.

        n_inputs: take only so many of the batch. batch: how many enter together (None: all, where they can). A layer's
        own activations are those of the real network.
        """
        self.check_takes(work)
        if batch is not None and batch > 1 and (not self.batched or isinstance(work, SparseConvolution)):
            raise BadInput(f"--batch must be 1 for {self.name}, which takes one input at a time, got {batch}")
        if isinstance(work, SparseConvolution):
            return [work], [work.features]
        if isinstance(work, Shape):
            if self.needs_values:
                raise BadInput(
                    f"workload {work.name!r} is a shape without values, which {self.name} needs: name a layer"
                )
            return [replace(work, batch=batch or min(work.batch, n_inputs or work.batch))], [None]
        layers, inputs = layers_and_inputs(work, n_inputs)
        if self.batched:
            rows = (batch or len(inputs)) * (layers[0].rows_of_input if isinstance(work, Workload) else 1)
            return layers, [inputs[start : start + rows] for start in range(0, len(inputs), rows)]
        return layers, inputs_of(layers[0]) if isinstance(work, Workload) else inputs

    def check_takes(self, work: Any) -> None:
        """Raise BadInput where a layer, or a network of them, is of a kind that the machine does not run."""
        is_cloud = isinstance(work, SparseConvolution)
        if is_cloud and SparseConvolution not in self.takes:
            raise BadInput(f"{self.name} takes no sparse convolution, which {work.name!r} is: name matrices")
        if not is_cloud and Workload not in self.takes:
            raise BadInput(f"{self.name} takes clouds, as lidar-0.1:minkunet-0.5, which {work.name!r} is not")

    @property
    def preset(self) -> str:
        """The name of the design that it starts from."""
        return next(iter(self.presets))

    def starting(self, preset: str) -> Machine:
        """Return the machine with that preset in place of its first, from which its designs start. Raises BadInput."""
        self.design(preset, {})
        return replace(self, presets={preset: self.presets[preset], **self.presets})

    def design(self, preset: str | None, changes: Mapping[str, Any]) -> Any:
        """Return a preset's Spec (None: the default preset) with some fields changed."""
        preset = self.preset if preset is None else preset
        if preset not in self.presets:
            raise BadInput(f"unknown preset {preset!r} of {self.name}{did_you_mean(preset, self.presets)}")
        if "preset" in changes:
            raise BadInput(f"a preset is named with its machine, as {self.name}:{changes['preset']}")
        return self.presets[preset].replace(**changes)

    def idle_note(self, fields: Iterable[str], designs: Iterable[Any]) -> str:
        """Return which of the named fields change nothing on any of the designs, and why; "" where all do."""
        idle = [self.idle(spec) for spec in designs]
        said = [name for name in dict.fromkeys(fields) if idle and all(name in of_design for of_design in idle)]
        return "; ".join(f"{name} changes nothing here: {idle[0][name]}" for name in said)

    def price(self, run: Run, table: str | None = None) -> Energy:
        """Return what a run costs by the table of prices of that name (None: the default one).

        Raises BadInput where there is no such table, or it cannot price the design.
        """
        if self.energy is None:
            raise BadInput(f"unknown prices {table!r}: {self.name} has none" if table else f"{self.name} has no prices")
        if (name := table or self.default_prices) is None:
            raise BadInput(f"it takes a table of prices: --prices {' or '.join(self.prices)}")
        return self.energy(run, name)

    def engine(self, name: str | None) -> str:
        """Return the name of an engine (None: the default one)."""
        if name is not None and name not in self.engines:
            raise BadInput(f"unknown engine {name!r} of {self.name}{did_you_mean(name, self.engines)}")
        return name or self.engines[0]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a machine has to show: tables of text cells by title, none empty, and remarks."""

    tables: Mapping[str, Sequence[Mapping[str, str]]]
    remarks: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "tables": {title: list(rows) for title, rows in self.tables.items()},
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a machine's demo has to say, each in a line.

    built: what ran on what. right: what was checked. remember: {what: a number with its unit}, three. further: commands
    to try next. figures: drawn. passed: whether all checks did.
    """

    built: str
    right: str
    remember: Mapping[str, str]
    further: Sequence[str]
    figures: Sequence[Path]
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        lines = {"built": self.built, "right": self.right, "remember": dict(self.remember)}
        rest = {"further": list(self.further), "figures": [str(path) for path in self.figures], "passed": self.passed}
        return lines | rest


def installed() -> dict[str, Any]:
    """Return {name: entry point} of the machines that are installed; nothing is imported."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def load(text: str) -> Machine:
    """Import the machine of MACHINE or MACHINE:PRESET, whose designs start from that preset. Raises BadInput."""
    machines = installed()
    name, colon, preset = text.partition(":")
    if name not in machines:
        raise BadInput(f"unknown machine {name!r}{did_you_mean(name, machines)}")
    try:
        chosen = machines[name].load()
    except (ImportError, AttributeError) as error:
        said = f"machine {name!r} is announced as {machines[name].value} but cannot be imported: {error}"
        raise BadInput(said) from error
    return chosen.starting(preset) if colon else chosen


def all_installed(takes: type | None = None) -> list[Machine]:
    """Import all machines that are installed; of them those that take such layers (None: all)."""
    return [chosen for name in installed() if takes in (None, *(chosen := load(name)).takes)]


def serving(name: str | None) -> tuple[Machine, Serves]:
    """Return the machine that runs whole language models, and its face for them, of MACHINE or MACHINE:PRESET.

    None or :PRESET: of the first that does. Raises BadInput.
    """
    able = [each for each in all_installed() if each.serves is not None]
    name = able[0].name + (name or "") if able and (name or ":").startswith(":") else name
    chosen = None if name is None else load(name)
    if chosen is None or chosen.serves is None:
        known = ", ".join(each.name for each in able) or "none is installed"
        raise BadInput(f"machine must be one that runs whole language models, {known}, got {name!r}")
    return chosen, chosen.serves


def named(names: str | None) -> dict[str, Machine]:
    """Return {what each is called: machine} of "M,M:PRESET": for None all that take matrices, none for "none".

    Raises BadInput.
    """
    if names is None:
        return {chosen.name: chosen for chosen in all_installed(Workload)}
    words = [] if names == "none" else [word.strip() for word in names.split(",")]
    if twice := next((word for word in words if words.count(word) > 1), None):
        raise BadInput(f"--machines must name each machine once, got {twice!r} twice")
    return {word: load(word) for word in words}


def find(name: str) -> Machine | None:
    """Return the machine of stored rows; None where it is not installed: a store can outlive its machine's package."""
    try:
        return load(name)
    except BadInput:
        return None


def layers_and_inputs(work: Workload | Network, n_inputs: int | None = None) -> tuple[list[Workload], np.ndarray]:
    """Return the layers of a workload or network as workloads, and the inputs f32[batch, in] of the first.

    n_inputs: take only so many of the batch. A layer's own activations are those of the real network.
    """
    if isinstance(work, Workload):
        work = work.first(n_inputs)
        return [work], work.activations
    network = with_activations(work.first(n_inputs))
    return [replace(layer, name=f"{work.name}/{layer.name}") for layer in network.layers], network.inputs


def layer_of(layers: Sequence[Any], name: str | None) -> Any:
    """Return the layer of that name, with or without its network's before it (None: the first)."""
    if name is None:
        return layers[0]
    by_name = {_short(layer.name): layer for layer in layers}
    if _short(name) not in by_name:
        raise BadInput(f"unknown layer {name!r}{did_you_mean(name, by_name)}")
    return by_name[_short(name)]


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def check_place(layer: Workload, row: int, column: int) -> None:
    """Raise BadInput unless the layer's weights have that row and column."""
    for name, place, size in (("row", row, layer.n_out), ("column", column, layer.n_in)):
        if not 0 <= place < size:
            raise BadInput(f"{name} must be from 0 to {size - 1} in {layer.name}, got {place}")


def run_through(
    simulate: Callable[..., Run],
    images: Sequence[Any],
    inputs: Sequence[Any],
    spec: Any,
    *,
    engine: str,
    check: bool = False,
    progress: Progress = quiet,
) -> Iterator[Run]:
    """Yield every layer's run of each input; what leaves a layer enters the next as it is.

    inputs: one after the other, f32[in] or Positions each, or a batch for a batched machine.
    """
    done, total = 0, len(inputs) * len(images)
    for index, signal in enumerate(inputs):
        for image in images:
            what = f"input {index + 1} of {len(inputs)}"

            def within(share: float, what: str = what, done: int = done) -> None:
                progress(what, done + share, total)

            signal = played(simulate, image, signal, spec, engine=engine, check=check, index=index, progress=within)
            done += 1
            progress(what, done, total)
            yield signal
