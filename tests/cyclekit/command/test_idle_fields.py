"""Is a field that changes nothing on a design named as such, wherever it is set or varied, and no other field?"""

import json
from dataclasses import fields

import numpy as np
import pytest

from cyclekit.machine import load
from tensorcore_sim.cloud_fields import CloudFields
from workloads import BadInput, Workload
from workloads.records import Shape

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((64, 600)) * (RNG.random((64, 600)) < 0.2)
LAYERS = {
    "eie": [Workload(name="w", weights=WEIGHTS, activations=RNG.random(600) * (RNG.random(600) < 0.5))],
    "tensorcore": [Shape(name="s", n_out=m, n_in=k, batch=n) for m, k, n in ((4096, 4096, 512), (512, 2048, 8))],
}
# Of sparse convolutions, which no matrix looks at: tests/tensorcore_sim/clouds/test_idle.py
OF_CLOUDS = {field.name for field in fields(CloudFields)}
FEW_CALLS = {"n_calls": 1000, "power_limit_w": 150.0}  # longer than limit_after_ms, and at a lower clock
# The designs on which every field is tried. Where one matters on any design of an architecture, it may not be idle on
# all of them.
DESIGNS = {
    "ampere": ("tensorcore", "a100-sxm-40gb", ({}, {"sparsity": "2:4"}, {"int4_weights": True}, FEW_CALLS)),
    "hopper": ("tensorcore", "h100-sxm", ({}, {"sparsity": "2:4"}, {"int4_weights": True}, FEW_CALLS)),
    "eie": (
        "eie",
        "isca2016",
        ({"spmat_bytes": 64}, {"refills": True, "spmat_bytes": 64}, {"batches": True, "register_file_entries": 4}),
    ),
}


def others(field, value):
    """Return some other values of a field."""
    if isinstance(value, bool):
        return [not value]
    if "options" in field.metadata:
        return [word for word in field.metadata["options"] if word != value]
    if isinstance(value, str):  # "chosen", of bits
        return [4, 8]
    return [type(value)(other) for other in (2 * value, value / 2, 1, 64, 128) if type(value)(other) != value]


def outcome(machine, spec) -> str:
    """Return all that runs on a design give, what they cost and what is stored; or why not."""
    said = []
    for layer in LAYERS[machine.name]:
        try:
            (image,) = machine.encode([layer], spec)
            signal = None if isinstance(layer, Shape) else layer.activations[0]
            run = machine.simulate(image, signal, spec, engine="schedule")
            said += [run.as_dict() | {"spec": None, "id": None}, machine.stored(image, spec)]
            for table in machine.prices:
                said.append(machine.price(run, table).as_dict())
        except BadInput as error:
            said.append(str(error))
    return json.dumps(said)


def without_effect(machine, spec, wanted: set[str]) -> set[str]:
    """Return those of the fields wanted of which no other value tried changes the outcome."""
    before, names = outcome(machine, spec), set()
    for field in (field for field in fields(spec) if field.name in wanted):
        for value in others(field, getattr(spec, field.name)):
            try:
                changed = spec.replace(**{field.name: value})
            except BadInput:
                continue
            if outcome(machine, changed) != before:
                break
        else:
            names.add(field.name)
    return names


@pytest.mark.parametrize("architecture", DESIGNS)
def test_what_is_called_idle_changes_nothing_and_all_else_does_somewhere(architecture):
    name, preset, variants = DESIGNS[architecture]
    machine = load(name)
    never = {field.name for field in fields(machine.design(preset, {}))} - OF_CLOUDS
    idle_on_all = set(never)
    for changes in variants:
        spec = machine.design(preset, changes)
        idle = set(machine.idle(spec)) - OF_CLOUDS
        silent = without_effect(machine, spec, idle | never)  # of others it is known already that they matter
        assert idle <= silent
        never &= silent
        idle_on_all &= idle
    assert never == idle_on_all


def test_a_field_that_is_set_or_varied_without_effect_is_said(zeroskip, tmp_path):
    why = "of mma and its loads, and the card runs wgmma"
    sized = ("tensorcore:h100-sxm", "64x64x64", "--set", "n_sms=4", "--set", "pass_cycles=8")
    ran = zeroskip("run", *sized, "--json", tmp_path / "r.json")
    assert f"  note: pass_cycles changes nothing here: {why}\n" in ran.out
    assert f"pass_cycles changes nothing here: {why}" in json.loads((tmp_path / "r.json").read_text())["notes"]
    for verb in ("sweep", "search"):
        words = ("--vary", "n_subcores=2,4", "--into", tmp_path / f"{verb}.db", "--workers", "1")
        if verb == "search":
            words += ("--minimise", "time_us")
        ended = zeroskip(verb, *sized, *words, "--json", tmp_path / "s.json")
        note = f"n_subcores changes nothing here: {why}; pass_cycles changes nothing here: {why}"
        assert f"  note: {note}\n" in ended.out
        assert json.loads((tmp_path / "s.json").read_text())["notes"] == [note]


def test_a_field_that_matters_on_some_of_the_designs_is_not_said(zeroskip, tmp_path):
    words = ("sweep", "tensorcore", "64x64x64", "--vary", "int4_weights=no,yes", "--vary", "scale_group=64,128")
    assert "changes nothing" not in zeroskip(*words, "--into", tmp_path / "s.db", "--workers", "1").out
    assert "changes nothing" not in zeroskip("run", "tensorcore", "64x64x64", "--set", "pass_cycles=8").out


def test_the_list_of_presets_names_them(zeroskip):
    ended = zeroskip("list", "presets", "--json", "-")
    idle = {row["name"]: row["idle"] for row in json.loads(ended.out)}
    assert "pass_cycles" in idle["h100-sxm"]
    assert "pass_cycles" not in idle["a100-sxm-40gb"]
    assert "dma_width_bits" in idle["isca2016"]
    assert "dma_width_bits" not in idle["silicon"]
    assert "without effect in h100-pcie, h800-pcie, h100-sxm, h200-sxm, gh200: n_subcores, pass_cycles, " in ended.err
