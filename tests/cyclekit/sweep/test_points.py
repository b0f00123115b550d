"""Do the texts of --vary and a sweep's file mean what they say, and is every value checked before anything runs?"""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.sweep.points import Chosen, points, read_file, vary_of
from eie_sim import Spec
from tensorcore_sim import Spec as CardSpec
from workloads import BadInput


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("4", (4,)),
        ("8, 1,2", (8, 1, 2)),
        ("2,2,4,2", (2, 4)),
        ("1:4", (1, 2, 3, 4)),
        ("3:3", (3,)),
        ("8:64:+8", (8, 16, 24, 32, 40, 48, 56, 64)),
        ("8:30:10", (8, 18, 28)),
        ("2:256:x2", (2, 4, 8, 16, 32, 64, 128, 256)),
        ("2:9:x2", (2, 4, 8)),
        ("1,2:8:x2,100", (1, 2, 4, 8, 100)),
        ("1,2,4,...,256", (1, 2, 4, 8, 16, 32, 64, 128, 256)),
        ("1,2,...,5", (1, 2, 3, 4, 5)),
        ("10,20,…,40", (10, 20, 30, 40)),
        ("3,9,...,81", None),  # steps of 6 lead to 81; two values are equal steps before they are equal factors
    ],
)
def test_the_values_of_a_text(text, values):
    values = tuple(range(3, 82, 6)) if values is None else values
    assert points(Spec(), {"n_pes": text}).values == {"n_pes": values}


def test_a_value_that_only_other_fields_forbid_is_a_point_whose_design_is_infeasible():
    """No limit of power may lie below what is drawn at rest, on this design or on the one of all defaults."""
    space = points(CardSpec(), {"power_limit_w": "10,400"})
    assert [changes["power_limit_w"] for changes in space.changes()] == [10.0, 400.0]
    with pytest.raises(BadInput, match="power_limit_w must be above static_w"):
        space.base.replace(power_limit_w=10.0)


def test_steps_of_a_tenth_are_exact():
    found = points(Spec(), {"clock_mhz": "0.1:1:+0.1"}).values["clock_mhz"]
    assert found == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def test_words_and_switches():
    found = points(Spec(), {"capacity": "report, enforce", "batches": "true,no"}).values
    assert found == {"capacity": ("report", "enforce"), "batches": (True, False)}
    assert points(CardSpec(), {"sparsity": "dense,2:4"}).values == {"sparsity": ("dense", "2:4")}  # no range


def test_values_from_python():
    found = points(Spec(), {"n_pes": range(1, 4), "clock_mhz": [800, 1e3], "queue_depth": 8}).values
    assert found == {"n_pes": (1, 2, 3), "clock_mhz": (800.0, 1000.0), "queue_depth": (8,)}


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("n_pe", "1", "unknown field 'n_pe', did you mean 'n_pes'?"),
        ("n_pes", "1,0", "n_pes must be at least 1, got 0"),
        ("n_pes", "1,,2", "n_pes must be a whole number, got ''"),
        ("n_pes", "1:2:+0.5", "n_pes must be a whole number, got '1.5'"),
        ("n_pes", "8:2", "range '8:2' of n_pes is empty: it begins above its end"),
        ("n_pes", "2:8:x1", "range '2:8:x1' of n_pes must begin above 0 and multiply by more than 1"),
        ("n_pes", "0:8:x2", "range '0:8:x2' of n_pes must begin above 0 and multiply by more than 1"),
        ("n_pes", "2:8:0", "the step of range '2:8:0' of n_pes must be above 0, got 0"),
        ("n_pes", "2:8:-1", "the step of range '2:8:-1' of n_pes must be above 0, got -1"),
        ("n_pes", "2:8:x2:3", "a range of n_pes must look like 2:256:x2, 8:64:+8 or 1:8, got '2:8:x2:3'"),
        ("n_pes", "a:8", "n_pes must be a number in a range, got 'a'"),
        ("n_pes", "1:inf", "n_pes must be a number in a range, got 'inf'"),
        ("n_pes", "1,2,...,1e999999999", "n_pes must be a number in a range, got '1e999999999'"),
        ("clock_mhz", "1:1e999999:x1e100", "clock_mhz must be a number in a range, got '1e999999'"),
        ("clock_mhz", "1:9:1e-999999", "clock_mhz must be a number in a range, got '1e-999999'"),
        ("n_pes", "1:1e9", "'1:1e9' gives n_pes more than 1,000,000 values"),
        ("n_pes", "1:1e9:x1.000001", "'1:1e9:x1.000001' gives n_pes more than 1,000,000 values"),
        ("n_pes", "1,...,8", "... must stand behind two values or more and before the last of n_pes, got '1,...,8'"),
        ("n_pes", "1,2,...", "... must stand behind two values or more and before the last of n_pes, got '1,2,...'"),
        ("n_pes", "1,2,4,...,100", "n_pes must go on in equal steps or factors upwards to 100, got '1,2,4,...,100'"),
        ("n_pes", "1,2,5,...,100", "n_pes must go on in equal steps or factors upwards to 100, got '1,2,5,...,100'"),
        ("n_pes", "4,2,...,1", "n_pes must go on in equal steps or factors upwards to 1, got '4,2,...,1'"),
        ("capacity", "report,enfroce", "capacity must be one of report, enforce, got 'enfroce'"),
        ("spmat_width_bits", "8:24:+8", "spmat_width_bits must be a power of two, got 24"),
    ],
)
def test_what_is_no_value(field, text, complaint):
    with pytest.raises(BadInput) as refused:
        points(Spec(), {field: text})
    assert str(refused.value) == complaint


def test_no_values():
    with pytest.raises(BadInput, match="n_pes must have at least one value, got none"):
        points(Spec(), {"n_pes": []})


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["n_pes"], "--vary must look like field=values, got 'n_pes'"),
        (["=1"], "--vary must look like field=values, got '=1'"),
        (["n_pes=1", "n_pes=2"], "n_pes is varied twice: once as '1', once as '2'"),
    ],
)
def test_texts_that_vary_nothing(texts, complaint):
    with pytest.raises(BadInput) as refused:
        vary_of(texts)
    assert str(refused.value) == complaint


VALUES = {"n_pes": (1, 2, 4), "queue_depth": (2, 3), "spmat_width_bits": (8, 64), "clock_mhz": (800.0, 900.0)}


@given(st.permutations(list(VALUES)), st.sets(st.sampled_from(list(VALUES))))
def test_groups_part_the_points(order, fields):
    found = points(Spec(), {name: VALUES[name] for name in order})
    whole = [tuple(sorted(change.items())) for change in found.changes()]
    assert len(whole) == len(set(whole)) == len(found) == 24
    parts = []
    for shared, group in found.groups(tuple(fields)):
        assert shared.keys() == fields
        changes = list(group.changes())
        assert len(changes) == len(group)
        assert all(change.items() >= shared.items() for change in changes)
        parts += [tuple(sorted(change.items())) for change in changes]
    assert sorted(parts) == sorted(whole)


@given(st.permutations(["n_pes", "queue_depth", "clock_mhz"]), st.sets(st.sampled_from(["n_pes", "clock_mhz"])))
def test_points_that_were_chosen_part_like_those_of_a_product(order, fields):
    product = points(Spec(), {name: (2, 3, 4)[: 1 + place] for place, name in enumerate(order)})
    chosen = Chosen(product.base, list(product.changes()))
    assert (len(chosen), chosen.fields) == (len(product), product.fields)
    assert list(chosen.changes()) == list(product.changes())
    assert chosen.n_groups(fields) == product.n_groups(fields)
    assert {frozenset(fixed.items()): list(group.changes()) for fixed, group in chosen.groups(fields)} == {
        frozenset(fixed.items()): [changes for changes in product.changes() if fixed.items() <= changes.items()]
        for fixed, _ in product.groups(fields)
    }


def test_the_field_named_last_changes_fastest():
    found = points(Spec(), {"clock_mhz": (800.0, 900.0), "queue_depth": (2, 3)})
    pairs = [(change["clock_mhz"], change["queue_depth"]) for change in found.changes()]
    assert pairs == list(itertools.product((800.0, 900.0), (2, 3)))


# Many of them


@given(st.integers(1, 40))
def test_every_so_many_of_the_points(step):
    found = points(Spec(), {"n_pes": "1:3", "clock_mhz": "800,900", "queue_depth": "2:5"})
    assert list(found.changes(step)) == list(found.changes())[::step]
    shared = ("clock_mhz", "n_pes")
    assert [fixed for fixed, _ in found.groups(shared, step)] == [fixed for fixed, _ in found.groups(shared)][::step]


def test_a_few_of_a_space_that_nobody_can_walk_through():
    found = points(Spec(), {"n_pes": "1:4096", "queue_depth": "2:1001", "clock_mhz": "1:1000"})
    few = list(found.changes(len(found) // 2))  # 4,096,000,000
    assert few == [
        {"n_pes": 1, "queue_depth": 2, "clock_mhz": 1.0},
        {"n_pes": 2049, "queue_depth": 2, "clock_mhz": 1.0},
    ]


def test_more_points_than_can_be_counted():
    names = ("n_pes", "queue_depth", "clock_mhz", "spmat_bytes", "pointer_bytes", "act_sram_bytes", "dma_width_bits")
    with pytest.raises(BadInput, match=r"1\.0e\+21 points are too many: name fewer fields or values"):
        points(Spec(), dict.fromkeys(names, "10:1009"))


# The file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])  # with and without a byte order mark
def test_a_file_says_what_the_command_says(tmp_path, encoding):
    path = tmp_path / "sweep.toml"
    text = 'machine = "eie"\nworkloads = ["alex-7"]\ninto = "a.db"\n[vary]\nn_pes = [1, 2]\nclock_mhz = "1:2"\n'
    path.write_text(text, encoding=encoding)
    asked = read_file(path)
    assert (asked["machine"], asked["workloads"], asked["into"]) == ("eie", ["alex-7"], "a.db")
    assert points(Spec(), asked["vary"]).values == {"n_pes": (1, 2), "clock_mhz": (1.0, 2.0)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("machine = ", "sweep file FILE is no TOML: Invalid value (at end of document)"),
        (
            "machine = 'eie'\npreset = 'silicon'",
            "sweep file FILE must name a preset with its machine, as machine = 'eie:silicon'",
        ),
        ("machin = 'eie'", "sweep file FILE has an unknown key 'machin', did you mean 'machine'?"),
        ("vary = 'n_pes=1'", "vary must be a table in sweep file FILE, got 'n_pes=1'"),
        ("workloads = 'alex-7'", "workloads must be a list of texts in sweep file FILE, got 'alex-7'"),
        ("workloads = ['a.npz', 7]", "workloads must be a list of texts in sweep file FILE, got ['a.npz', 7]"),
        ("workloads = 7", "workloads must be a list of texts in sweep file FILE, got 7"),
        ("inputs = true", "inputs must be a whole number, a file or random:SEED in sweep file FILE, got True"),
        ("workers = 'two'", "workers must be a whole number in sweep file FILE, got 'two'"),
        (f"workers = 0x{'f' * 5000}", "sweep file FILE is no TOML: a whole number must fit 64 bits"),
        (None, "sweep file FILE cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_says_nothing(tmp_path, text, complaint):
    path = tmp_path / "sweep.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput) as refused:
        read_file(path)
    assert str(refused.value) == complaint.replace("FILE", repr(str(path)))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 20_000, "{a=" * 20_000])
def test_a_file_that_no_parser_can_hold(tmp_path, value):
    path = tmp_path / "sweep.toml"
    path.write_text(f"workers = {value}")
    with pytest.raises(BadInput, match=re.escape(f"sweep file {str(path)!r} is no TOML: ")):
        read_file(path)
