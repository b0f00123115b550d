"""Draw what a language model takes: time by operator and by context, operators under the roof, staircases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from cyclekit.figures.colours import OPERATORS, places
from cyclekit.figures.curves import roofline
from cyclekit.figures.style import PLAIN, PRINT, save, spread
from cyclekit.serving.knobs import Point
from cyclekit.serving.serve import PHASES, PROMPT, STEP, Row, Serving
from cyclekit.validation import Validation

RIGHT = ("axes fraction", "data")  # of a text beside a line
BETWEEN = {"facecolor": "#bbbbbb", "edgecolor": "white", "linewidth": 0.0}  # kernels
OTHERS, OF_OTHERS = "others, each less than 1%", BETWEEN | {"facecolor": "#e4e4e4"}
LEAST_PART = 0.01  # of a phase
NEAR = 1.25  # points that differ by less share a label
LEAST_STAIRS = 4  # values of a size from which its times are drawn as a line


def draw_serving(served: Serving, folder: Path, card: str) -> list[Path]:
    """Draw one result's figures; return their files."""
    request = served.request
    title = (
        f"{served.model.name}, {card}, {request.framework}, {request.weights}"
        f"{'' if request.sparsity == 'dense' else ' ' + request.sparsity}: "
        f"{request.batch} x {request.input} + {request.output} tokens"
    )
    about = _about(served, card)
    drawn = [_operators(served, folder / "llm_operators.png", title, about)]
    if len(served.step_ms) > 1:
        drawn.append(_steps(served, folder / "llm_context.png", title, about))
    points = {phase: _under_the_roof([row for row in served.operators if row.phase == phase]) for phase in PHASES}
    points = {phase: of_phase for phase, of_phase in points.items() if of_phase}
    roofs = dict.fromkeys(points, (served.peak_tflops, served.gb_per_s))
    x_label = "operations of the dense product for each byte of memory [FLOP/B]"
    roofline(roofs, points, folder / "llm_roofline.png", title=title, x_label=x_label, about=about)
    return [*drawn, folder / "llm_roofline.png"]


def draw_staircases(
    drawn: Sequence[tuple[Point, Serving]], base: Serving, folder: Path, title: str, card: str
) -> list[Path]:
    """Draw, for each size with values enough, prompt and step against it, all else as in the base; return the files."""
    stairs: dict[str, list[tuple[int, Serving]]] = {}
    for point, served in drawn:
        if len(point.changes) == 1:
            ((knob, value),) = point.changes.items()
            if value.isdecimal():
                stairs.setdefault(knob, []).append((int(value), served))
    files = []
    for knob, steps in stairs.items():
        if len(steps) >= LEAST_STAIRS:
            about = f"{_about(base, card)} Here {knob} alone takes the values shown; the energy is that of the base."
            steps.sort(key=lambda step: step[0])
            files.append(_staircase(knob, steps, folder / f"llm_{knob}.png", title, about))
    return files


def _under_the_roof(rows: Sequence[Row]) -> list[tuple[float, float, str]]:
    """Return (operations a byte, TFLOPS, names) of the operators that compute; those at one place share it."""
    places: dict[tuple[int, int], list[tuple[float, float, str]]] = {}
    for row in rows:
        if row.flops:
            intensity, tflops = row.flops / row.bytes, row.flops / row.time_us / 1e6
            place = round(math.log(intensity, NEAR)), round(math.log(tflops, NEAR))
            places.setdefault(place, []).append((intensity, tflops, row.name))
    return [(*of_place[0][:2], ", ".join(name for *_, name in of_place)) for of_place in places.values()]


def draw_models(validation: Validation, path: Path) -> Path:
    """Draw the error of every measured figure, a line a source and quantity, with the mean size beside."""
    groups = validation.groups()
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "x"})):
        figure, panel = plt.subplots(figsize=(8, 0.36 * len(groups) + 1))
        panel.axvspan(-15, 15, color="#e6eef6", zorder=0)
        panel.axvline(0, color=PRINT.ink, linewidth=0.8)
        for place, (source, quantity) in enumerate(groups):
            for kind, filled in (("as published", PRINT.series[0]), ("calibrated", "none")):
                errors = [row.error for row in validation.select(source=source, quantity=quantity, kind=kind)]
                panel.scatter(
                    errors, [place] * len(errors), s=18, facecolors=filled, edgecolors=PRINT.series[0], zorder=3
                )
                if errors and kind == "as published":
                    mean = sum(map(abs, errors)) / len(errors)
                    panel.annotate(f"{mean:.1f}%, {len(errors)} rows", (1.01, place), xycoords=RIGHT, va="center")
        panel.set_yticks(range(len(groups)), [f"{source}: {quantity}" for source, quantity in groups])
        panel.invert_yaxis()
        panel.set_xlabel("simulated over published, less 1 [%]; hollow: fitted on; shaded: within 15%")
        panel.set_title(f"{validation.machine}; right: mean size of error", loc="left")
        name = validation.machine.partition(":")[0]
        about = (
            f"Simulated: whole language models on {name}, each with the preset, cards and framework that were "
            "measured. Hollow: a constant was fitted on these rows, so that agreement is no evidence. Power and joules "
            "are by the cards' own power, which no table of prices is."
        )
        save(figure, path, about)
    return path


def _operators(served: Serving, path: Path, title: str, about: str) -> Path:
    """Draw a bar a phase, its operators stacked in their order; those that are nowhere 1% of it together."""
    phases = [phase for phase in PHASES if any(row.phase == phase for row in served.operators)]
    with mpl.rc_context(PRINT.style()):
        figure, panels = plt.subplots(1, len(phases), figsize=(3.6 * len(phases), 4.2), squeeze=False)
        totals = {
            phase: sum(row.time_us for row in served.operators if row.phase == phase) + served.rest_us[phase]
            for phase in phases
        }
        shown = {row.name for row in served.operators if row.time_us >= LEAST_PART * totals[row.phase]}
        names = list(dict.fromkeys(row.name for row in served.operators if row.name in shown))
        looks = {name: PRINT.fill(place) for name, place in places(names, OPERATORS).items()}
        for panel, phase in zip(panels[0], phases, strict=True):
            below = 0.0
            parts = {row.name: row.time_us / 1e3 for row in served.operators if row.phase == phase if row.name in shown}
            parts["between kernels"] = served.rest_us[phase] / 1e3
            parts[OTHERS] = totals[phase] / 1e3 - sum(parts.values())
            for name, height in parts.items():
                look = OF_OTHERS if name == OTHERS else looks.get(name, BETWEEN)
                panel.bar([phase], height, bottom=below, width=0.5, **look)
                below += height
            panel.set_ylabel("time [ms]")
            panel.set_title("all prompts" if phase == PROMPT else "a step at the mean context", loc="left", fontsize=9)
            panel.set_xlim(-0.6, 0.6)
        handles = [mpl.patches.Patch(label=name, **looks[name]) for name in reversed(names)]
        handles.insert(0, mpl.patches.Patch(label="between kernels", **BETWEEN))
        if len(names) < len({row.name for row in served.operators}):
            handles.insert(0, mpl.patches.Patch(label=OTHERS, **OF_OTHERS))
        figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.92, 0.5))
        figure.suptitle(title, x=0.02, y=1.0, ha="left", fontsize=10)
        figure.subplots_adjust(wspace=0.45)
        save(figure, path, about)
    return path


def _steps(served: Serving, path: Path, title: str, about: str) -> Path:
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(7, 4))
        panel.plot(*zip(*served.step_ms, strict=True), color=PRINT.series[0], linewidth=1.6)
        panel.set_ylim(0, 1.06 * max(ms for _, ms in served.step_ms))
        panel.set(xlabel="context [tokens]", ylabel="a step [ms]")
        panel.set_title(title, loc="left", fontsize=10)
        save(figure, path, about)
    return path


def _about(served: Serving, card: str) -> str:
    """Return what the figures of one result rest on: the model, its formats, the card, what gave the energy."""
    request = served.request
    energy = (
        "not priced" if served.energy_j is None else f"{served.energy_j:,.4g} J of all cards, by {served.priced_by}"
    )
    sequences = "1 sequence" if request.batch == 1 else f"{request.batch:,} sequences"
    return (
        f"{served.model.name}, {sequences} of {request.input:,} + {request.output:,} tokens: weights "
        f"{request.weights}, activations {request.activations or 'as the weights'}, KV cache "
        f"{request.kv or 'as the weights'}, {request.sparsity}. {served.machine} {card}, a card of "
        f"{served.peak_tflops:,.0f} TFLOPS and {served.gb_per_s:,.0f} GB/s at most, framework {request.framework}. "
        f"Energy: {energy}."
    )


def _staircase(knob: str, steps: Sequence[tuple[int, Serving]], path: Path, title: str, about: str) -> Path:
    sizes = [size for size, _ in steps]
    lines = {PROMPT: [served.ttft_ms for _, served in steps], STEP: [served.tpot_ms for _, served in steps]}
    lines = {phase: times for phase, times in lines.items() if None not in times}
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panels = plt.subplots(len(lines), 1, figsize=(8, 2.8 * len(lines)), sharex=True, squeeze=False)
        for panel, (phase, times), colour in zip(panels[:, 0], lines.items(), PRINT.series, strict=False):
            panel.step(sizes, times, where="mid", color=colour, linewidth=1.2)
            multiples = [place for place, size in enumerate(sizes) if size % 128 == 0]
            panel.plot(
                [sizes[i] for i in multiples], [times[i] for i in multiples], "o", color=colour, markersize=4,
                label="multiples of 128",
            )  # fmt: skip
            panel.set_ylabel("time to first token [ms]" if phase == PROMPT else "time of a step [ms]")
            panel.yaxis.set_major_formatter(PLAIN)
            spread(panel, y=times)
            if multiples:
                panel.legend(loc="upper left")
        panels[-1, 0].set_xlabel(knob)
        panels[-1, 0].xaxis.set_major_formatter(PLAIN)
        panels[0, 0].set_title(title, loc="left", fontsize=10)
        save(figure, path, about)
    return path
