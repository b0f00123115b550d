"""Does every figure that a command writes say in the file what was run?"""

import argparse
import json
import re
from dataclasses import replace
from html import unescape
from importlib import import_module

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import eie_sim.demo
import pointacc_sim.demo
import tensorcore_sim.demo
from cyclekit import machine
from cyclekit.command import report
from cyclekit.command.cli import parser
from cyclekit.figures import style
from cyclekit.sweep.sweep import sweep
from cyclekit.validation import Comparison, Validation
from tests.cyclekit.command.test_llm import SMALL
from tests.cyclekit.command.test_prune import tiny  # noqa: F401
from tests.pointacc_cases import voxels
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud

EIE, CARD = "preset isca2016", "preset a100-sxm-40gb"
# What a verb is asked for, and what each of its figures has to say, by the end of its stem ("": of all others)
ASKED = {
    "compare": (
        ("compare", "LAYER", "--machines", "eie,tensorcore"),
        {"time": ("layer.npz", EIE, CARD, "sparsity = 2:4"), "energy": ("prices bottom-up", "prices tpuv4i")},
    ),
    "sensitivity": (
        ("sensitivity", "tiny", "--densities", "1,0.25"),
        {"": ("tiny", "20 test inputs", "element", "by magnitude", "nothing is priced", "made up")},
    ),
    "tradeoff": (
        ("tradeoff", "tiny", "--tune", "0", "--batch", "2", "--patterns", "element,2:4"),
        {"": ("tiny", "0.5 of the weights", "not tuned", f"eie {EIE}", f"tensorcore {CARD}", "no prices", "made up")},
    ),
    "adapt": (
        (
            "adapt",
            "tiny",
            "--machine",
            "eie",
            "--set",
            "n_pes=2",
            "--budget",
            "0.9uJ",
            "--method",
            "uniform",
            "--epochs",
            "0",
        ),
        {"": (EIE, "n_pes=2", "in uJ", "prices bottom-up", "batch 16", "uniform", "seed 0", "made up")},
    ),
    "llm": (
        (
            "llm",
            "CONFIG",
            "--machine",
            "tensorcore:h100-sxm",
            "--input",
            "64",
            "--output",
            "4",
            "--set",
            "n_sms=100",
        ),
        {"": ("small", "1 sequence of 64 + 4 tokens", "f16", "h100-sxm, n_sms=100", "tensorrt-llm", "static_w")},
    ),
    "llm --compare": (
        ("llm", "CONFIG", "--input", "64", "--output", "4", "--compare", "ffn=128:512:+64"),
        {"": ("small", "a100-sxm-40gb", "the card's own power", "not by a table of prices", "ffn alone")},
    ),
    "report": (
        ("report", "STORE", "--out", "PAGE"),
        {
            "": ("layer", EIE),
            "_n_pes": ("workload = layer", EIE, "prices = bottom-up"),
            "pareto": ("layer", EIE, "Prices: bottom-up"),
        },
    ),
    "validate eie": (
        ("validate", "eie"),
        {
            "": ("nine layers", EIE, "drawn", "No prices"),
            "energy": ("nine layers", EIE, "the paper's own"),
            "cacti": ("nine layers", "bottom-up"),
            "table2": ("bottom-up", "calibrated"),
        },
    ),
    "validate pointacc": (("validate", "pointacc"), {"": ("presets server and edge", "No prices")}),
    "validate tensorcore": (("validate", "tensorcore"), {"": ("Simulated", "preset", "No prices")}),
    "validate llm": (("validate", "llm"), {"": ("language models", "preset", "no table of prices")}),
    "demo": (
        ("demo",),
        {
            "": ("Products of square f16", "reset a100-sxm-80gb", "No prices"),
            "utilisation": (EIE, "n_pes = 16"),
            "counts": (EIE, "1 inputs", "No prices"),
            "sizes": ("Kernel map of first", "no machine"),
            "groups": ("Kernel map of first", "no machine"),
            "units": ("two layers", "preset server", "cache = False", "No prices"),
            "dram": ("two layers", "preset server", "dataflow = gather-scatter", "No prices"),
        },
    ),
}


@pytest.fixture
def drawn(monkeypatch):
    """Return {path: all texts of its figure}, of the figures that are written."""
    found, write = {}, style.to_file

    def to_file(figure, path, about=""):
        found[path] = [text.get_text() for text in figure.findobj(Text)]
        figure.clear()  # what is drawn, nobody looks at
        figure.set(layout_engine="none", dpi=20)
        write(figure, path, about)

    monkeypatch.setattr(style, "to_file", to_file)
    return found


ROWS = {  # (source, quantity, layer, kind) of validations, as their figures choose them
    "eie": [
        ("Table IV", "theoretical time", "alex-6", "as published"),
        *((f"Fig {name}", "load balance", "alex-6", "as published") for name in ("8", "12", "13")),
        *((f"Fig 11 {name}", "speed-up", "alex-6", "as published") for name in ("as printed", "exchanged")),
        ("Fig 9", "reads against width", "alex-6", "as published"),
        *(("Fig 9", f"read energy at {of}'s pJ against width", "a", "calibrated") for of in ("the paper", "CACTI")),
        *(("Table II", of, "ActRW", "bottom-up") for of in ("power, layers calibrated", "area")),
    ],
    "pointacc": [("streaming merger", "cycles of the sort", "lidar-0.1", "as published")],
    "tensorcore": [
        ("Sun et al.", "throughput", "mma", "calibrated"),
        *((of, "time", "8 x 8 x 8", "as published") for of in ("LLMCompass", "vllmbench", "TorchSparse")),
    ],
}


@pytest.fixture
def small(monkeypatch):
    """Make what demos and validations run small, or made up: asked for is what their figures say, not their numbers."""
    monkeypatch.setattr(eie_sim.demo, "N_IMAGES", 1)
    monkeypatch.setattr(eie_sim.demo, "N_EVENTS", 1)
    monkeypatch.setattr(eie_sim.demo, "PE_COUNTS", (4, 16))
    charts = report.charts
    shown = ("eie_n_pes", "eie_pareto")
    monkeypatch.setattr(report, "charts", lambda *given: [chart for chart in charts(*given) if chart.name in shown])
    for name, value in {"SIZES": (256, 512), "SMALL": 256, "LARGE": 512}.items():
        monkeypatch.setattr(tensorcore_sim.demo, name, value)
    chain = Chain(Cloud(name="cloud", coordinates=voxels(200, 0, side=8)), channels=64)
    chain.convolution("first", chain.input, 64)
    model = chain.model("two layers")
    monkeypatch.setattr(pointacc_sim.demo.networks, "load", lambda _: model)
    load = machine.load

    def loaded(name):
        values = {"unit": "us", "setting": "8", "published": 2.0, "simulated": 3.0}
        kinds = ROWS[name.partition(":")[0]]
        rows = (dict(zip(("source", "quantity", "layer", "kind"), row, strict=True)) for row in kinds)
        made = Validation(machine=name, comparisons=tuple(Comparison(**row, **values) for row in rows), footnotes=())
        models = {"validate_models": lambda _: made} if load(name).validate_models else {}
        return replace(load(name), validate=lambda _: made, **models)

    monkeypatch.setattr(machine, "load", loaded)


@pytest.fixture
def words(layer_npz, tmp_path):
    """Return a function that puts files in the places of their names in what a verb is asked for."""
    config, store = tmp_path / "small.json", tmp_path / "results.db"
    config.write_text(json.dumps(SMALL), encoding="utf-8")
    places = {"LAYER": layer_npz, "CONFIG": config, "STORE": store, "PAGE": tmp_path / "page.html"}

    def put(argv):
        if "STORE" in argv:
            vary = {"n_pes": (2, 4), "queue_depth": (4, 8)}
            sweep("eie", [layer_npz], vary=vary, into=store, n_workers=1)
        return [places.get(word, word) for word in argv]

    return put


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.usefixtures("small", "tiny")
def test_a_figure_says_what_was_run(asked, zeroskip, words, drawn, tmp_path):
    argv, said = ASKED[asked]
    folder = tmp_path / "figures"
    ended = zeroskip(*words(argv), "--figures", folder)
    assert ended.code in (0, 1), ended.err  # a demo on little has no values to be right about
    pictures = {path for path in folder.iterdir() if path.suffix in (".png", ".svg")}
    assert pictures
    assert pictures <= drawn.keys()
    for path in pictures:
        about = described(path)
        assert about[:100] in " ".join(" ".join(drawn[path]).split())  # it is not hidden, either
        stem = path.stem.removesuffix("-dark")
        for text in next((of for end, of in said.items() if end and stem.endswith(end)), said.get("", ())):
            assert text in about, (path.name, text)


def described(path) -> str:
    """Return the description that a picture's file has."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return picture.text["Description"]
    found = re.search(r"<dc:description>(.*?)</dc:description>", path.read_text(encoding="utf-8"), re.DOTALL)
    return unescape(found[1])


def test_every_verb_that_draws_is_asked():
    top = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for verb, found in top.choices.items():
        import_module(f"cyclekit.command.{verb}").add_arguments(found)
    draws = {verb for verb, found in top.choices.items() if "--figures" in found._option_string_actions}
    assert draws == {argv[0] for argv, _ in ASKED.values()}


def test_a_figure_that_says_nothing_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"a.png must say what was run"):
        style.save(Figure(), tmp_path / "a.png", "")
    assert not list(tmp_path.iterdir())
