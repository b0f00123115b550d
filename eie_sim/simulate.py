"""One door, two engines: an image, activations and a Spec in, a Run out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np

from cyclekit.machine import layers_and_inputs, run_through
from cyclekit.run import Run, identity
from cyclekit.spec import CHOSEN
from eie_sim import arithmetic, capacity, events, image, reference, schedule
from eie_sim.account import account
from eie_sim.capacity import Pauses
from eie_sim.image import Image
from eie_sim.reuse import reuse
from eie_sim.spec import Spec
from eie_sim.timeline import Timeline
from workloads.errors import BadInput, did_you_mean
from workloads.records import Network, Workload, checked_array, plain_array

NAME = "eie"
ENGINES = {"events": events.timeline, "schedule": schedule.timeline}
N_SAMPLED = 1 << 12  # non-zero weights by which an estimate judges how many values there are
LONGEST = 2**31 - 1  # cycles of a run: a Timeline's numbers have 32 bits
MODEL_VERSION = 2  # part of every result's identity; raise it when a rule or the arithmetic changes


def encode(work: Workload | Network | Sequence[Workload], spec: Spec) -> Image | list[Image]:
    """Encode a layer for the machine: an Image; of a network, or of layers that stay in it together, a list.

    Raises BadInput where something does not fit and spec.capacity is "enforce", unless batches or refills are allowed
    and help.
    """
    if isinstance(work, Workload):
        return encode([work], spec)[0]
    layers = layers_and_inputs(work)[0] if isinstance(work, Network) else work
    if not layers:
        raise BadInput("workloads must hold at least one layer, got none")
    images = [image.encode(layer, spec) for layer in layers]
    notes = capacity.check(images, spec)
    stays = capacity.what_stays(images, spec)
    return [image.placed(of_layer, notes, **stays) for of_layer in images]


def simulate(
    image: Image | Sequence[Image],
    activations: np.ndarray | Run,
    spec: Spec,
    *,
    engine: str = "events",
    check: bool = False,
    index: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Run | list[Run]:
    """Run a layer: activations f32[in] give a Run; f32[batch, in] a list of them, or the Run if the batch is of one.

    Reals are brought to 16-bit fixed point on the way in, with the bits of the spec or chosen ones (`arithmetic`); a
    real that is not zero is broadcast even if its 16-bit value is. A Run in place of activations: its outputs enter.
    A list of images is a network: every input goes through all layers, one Run each. engine: "events" (SimPy) or
    "schedule" (jitted); the results are the same. check: compare the values with the references. index: which of a
    batch this is, for the record. progress: called with the share done. Raises BadInput.
    """
    if engine not in ENGINES:
        raise BadInput(f"unknown engine {engine!r}{did_you_mean(str(engine), ENGINES)}")
    if not isinstance(activations, Run):
        activations = plain_array("activations", activations)
    if not isinstance(image, Image):
        inputs = checked_array("activations", activations, (1, 2))
        return list(run_through(simulate, image, np.atleast_2d(inputs), spec, engine=engine, check=check))
    if not isinstance(activations, Run) and np.ndim(activations) == 2:
        runs = list(run_through(simulate, [image], activations, spec, engine=engine, check=check))
        if not runs:
            raise BadInput(f"activations must hold at least one input, got shape {np.shape(activations)}")
        return runs[0] if len(runs) == 1 else runs
    if image.n_pes != spec.n_pes:
        raise BadInput(f"n_pes must be {image.n_pes}, the number that the image was encoded for, got {spec.n_pes}")
    signal = _bytes_of(activations)
    number_format = spec.activation_fraction_bits, spec.weight_fraction_bits
    values, reals, bits, notes = reuse(
        image, "entered", (signal, number_format), lambda: enter(activations, image, spec)
    )
    timing = {**vars(spec), "clock_mhz": None}  # the clock alone changes no cycle
    books = reuse(image, "books", (signal, engine, timing), lambda: _books(image, reals != 0, spec, engine, progress))
    timeline, ledger, states, capacity_notes = books
    own_ledger = ledger.copy()  # what is reused must not change with the Run that a user edits
    product, output_sha256 = reuse(
        image, "product", (signal, number_format), lambda: _product(image, timeline.column, values, bits, spec)
    )
    if product.n_saturations:
        notes += (
            f"{product.n_saturations} additions saturated at 16 bits: set activation_fraction_bits below "
            f"{product.format.outputs}",
        )
    handled, design = ledger.actions["entries"], spec.as_dict()
    return Run(
        machine=NAME,
        workload=image.layer.name,
        input=index,
        engine=engine,
        spec=design,
        id=identity(NAME, MODEL_VERSION, design, image.digest, values, reals != 0, product.format),
        cycles=timeline.cycles,
        time_us=timeline.cycles / spec.clock_mhz,
        load_balance=handled / (spec.n_pes * timeline.cycles),
        actions=own_ledger.actions,
        states={kind: dict(spent) for kind, spent in states.items()},
        output_sha256=output_sha256,
        check=reference.check(image.workload, reals, values, product.outputs, product.format) if check else None,
        measures={f"{name}_fraction_bits": n_bits for name, n_bits in product.format._asdict().items()},
        notes=tuple(dict.fromkeys(capacity_notes + notes)),
        outputs=product.outputs.copy(),
        output_step=2.0**-product.format.outputs,
        timeline=timeline.copy(),
        ledger=own_ledger,
    )


def _bytes_of(activations: np.ndarray | Run) -> tuple[Any, ...]:
    """Return what tells activations apart: a former Run's 16-bit values stand for other reals than an array's."""
    is_run = isinstance(activations, Run)
    array = activations.outputs if is_run else activations
    return is_run and activations.output_step, array.dtype.str, array.shape, array.tobytes()


def _books(image: Image, non_zero: np.ndarray, spec: Spec, engine: str, progress: Callable[[float], None]):
    """Return the timeline, the ledger, its totals, and notes on what does not fit or takes no time."""
    pauses = capacity.pauses(image, spec)
    _check_length(image, np.count_nonzero(non_zero) + image.n_columns - len(non_zero), pauses, spec)
    timeline = ENGINES[engine](image, non_zero, pauses, spec, progress)
    ledger = account(timeline, image, pauses, spec)
    notes = reuse(image, "capacity", vars(spec), lambda: capacity.check([image], spec))
    return timeline, ledger, ledger.totals(), image.notes + notes + _late_notes(timeline)


def _late_notes(timeline: Timeline) -> tuple[str, ...]:
    n_late, n = int(np.count_nonzero(timeline.sent > timeline.cycles)), len(timeline.sent)
    said = (
        f"{n_late} of {n} broadcasts come after the last entry, when the paper's clock has stopped: they cost energy "
    )
    return (f"{said}and take no time, so the power is none that the chip draws (docs/eie.md, D13)",) if n_late else ()


def _product(
    image: Image, column: np.ndarray, values: np.ndarray, bits: arithmetic.Format, spec: Spec
) -> tuple[arithmetic.Product, str]:
    """Return the product and the hash of its outputs: no timing can change them."""
    product = arithmetic.multiply(image, column, values, bits, fixed=spec.activation_fraction_bits != CHOSEN)
    return product, hashlib.sha256(product.outputs.astype("<i2").tobytes()).hexdigest()


def theoretical_cycles(run: Run) -> float:
    """Return entries handled (paddings and bias column included) over PEs: the paper's theoretical time, in cycles."""
    return run.actions["entries"] / run.spec["n_pes"]


def estimate(layers: Sequence[Workload], spec: Spec, *, engine: str, check: bool) -> tuple[float, int]:
    """Return about how many seconds and bytes encoding the layers and running their batch takes.

    From what benchmarks/bench_eie.py and bench_share.py measure on two cores, which others may share, and 200 MB for
    Python with its libraries.
    """
    seconds, most_bytes = 0.0, 0.0
    for layer in layers:
        n_weights, n_active = layer.weights.size, np.count_nonzero(layer.activations, axis=1) + 1
        pairs = n_active * spec.n_pes
        n_non_zeros, n_shared = _n_non_zeros_and_shared(layer)
        n_entries = float(n_active.sum()) * n_non_zeros / layer.n_in
        seconds += 4e-9 * (n_weights + n_non_zeros) + 5e-4 * len(layer.activations)
        seconds += float(pairs.sum()) * (12e-6 if engine == "events" else 4e-9) + 2e-9 * n_entries
        seconds += check * float(n_active.sum()) * layer.n_out * 2e-8
        seconds += min(0.4, 5e-6 * n_shared) + 2e-7 * n_shared  # what is split at last, and the passes over all
        lists = 12.0 * n_non_zeros + n_weights / 16 + 14.0 * layer.n_in * spec.n_pes  # and paddings, pointers, counts
        check_bytes = check * (1.5 * layer.weights.nbytes if n_shared else 0.0)  # the references' shared weights
        most_bytes = max(most_bytes, lists + check_bytes + 8.0 * pairs.max() + 60.0 * n_shared)
    return seconds, int(200e6 + sum(layer.weights.nbytes for layer in layers) + most_bytes)


def estimate_point(layers: Sequence[Workload], spec: Spec, *, engine: str) -> float:
    """Return about how many seconds one input through the layers takes on a further design that shares their images."""
    pairs = sum(np.count_nonzero(layer.activations) / layer.batch * spec.n_pes for layer in layers)
    return 3e-4 * len(layers) + pairs * (12e-6 if engine == "events" else 3e-9)


def _n_non_zeros_and_shared(layer: Workload) -> tuple[int, int]:
    """Return how many weights are not zero, and how many k-means will cluster, judged by those of the first rows."""
    n_non_zeros = int(np.count_nonzero(layer.weights))
    rows = layer.weights[: max(1, N_SAMPLED * layer.n_out // max(N_SAMPLED, n_non_zeros))]
    few = layer.codes is not None or len(np.unique(rows[rows != 0])) < image.N_CODES
    return n_non_zeros, 0 if few else n_non_zeros


def enter(
    activations: np.ndarray | Run, image: Image, spec: Spec
) -> tuple[np.ndarray, np.ndarray, arithmetic.Format, tuple[str, ...]]:
    """Return what enters the machine: 16-bit values i16[in], the reals that they stand for f64[in], bits, and notes."""
    layer = image.layer
    if isinstance(activations, Run):
        reals = activations.values
    else:
        reals = checked_array("activations", activations, (1,)).astype(np.float64)
    if reals.shape != (layer.n_in,):
        raise BadInput(f"activations must be f32[{layer.n_in}] for {layer.name}, got shape {reals.shape}")
    of_activations = spec.activation_fraction_bits
    of_weights, book_notes = reuse(image, "book", spec.weight_fraction_bits, lambda: _book(image, spec))
    if of_activations == CHOSEN:
        of_activations = arithmetic.chosen_bits(reals if layer.bias is None else np.append(reals, 1.0))
    values = arithmetic.quantise(reals, of_activations)
    notes = _quantisation_notes("activations", reals, values, "activation_fraction_bits", of_activations, spec)
    return values, reals, arithmetic.Format(of_activations, of_weights, of_activations), notes + book_notes


def _book(image: Image, spec: Spec) -> tuple[int, tuple[str, ...]]:
    """Return the fraction bits of the codebook, and what is to be said of values that they do not hold."""
    book, bits = image.codebook.astype(np.float64), spec.weight_fraction_bits
    if bits == CHOSEN:
        bits = arithmetic.chosen_bits(book, least=0)
    codes = arithmetic.quantise(book, bits)
    return bits, _quantisation_notes("codebook values", book, codes, "weight_fraction_bits", bits, spec)


def _quantisation_notes(
    name: str, reals: np.ndarray, values: np.ndarray, field: str, bits: int, spec: Spec
) -> tuple[str, ...]:
    """Return what is to be said of the reals that 16 bits do not hold, and what would help where the spec says them."""
    is_said = getattr(spec, field) != CHOSEN
    n_lost = int(((reals != 0) & (values == 0)).sum())
    n_cut = int((np.abs(np.ldexp(reals, bits) - values) > 1).sum())
    notes = ()
    if n_lost:
        what = f"raise {field} above {bits}" if is_said else f"{bits} fraction bits are the most for the others"
        notes += (f"{n_lost} {name} are not zero but smaller than half a 16-bit step: {what}",)
    if n_cut:
        what = f"lower {field} below {bits}" if is_said else f"{bits} fraction bits are the fewest"
        notes += (f"{n_cut} {name} are beyond the 16-bit range and were cut: {what}",)
    return notes


def _check_length(image: Image, n_broadcasts: int, pauses: Pauses, spec: Spec) -> None:
    """Raise BadInput where a run could be longer than a Timeline's 32-bit cycle numbers.

    A broadcast waits for the latency of another only where that frees its place in the queues, queue_depth - 1 sends
    before, or where a pause lets the PEs finish.
    """
    n_waits = ceil(n_broadcasts / (spec.queue_depth - 1)) + np.count_nonzero(pauses.cycles)
    n_rows = ceil(image.n_columns / image.n_pes)
    longest = image.n_entries + n_rows + int(pauses.cycles.sum(dtype=np.int64)) + 4 * n_broadcasts
    longest += n_waits * spec.broadcast_latency_cycles
    if longest >= LONGEST:
        raise BadInput(f"{image.layer.name} could take {longest:,} cycles on this design, the model ends at 2**31")
