"""Does the mutator make the faults that it says, one at a time, and does equivalent.toml name some of them?"""

import ast

import pytest

from tests.campaign.mutants import mutants
from tests.campaign.mutate import ROOT, equivalents


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        ("a < b", {"a <= b"}),
        ("(a) >= (b)", {"(a) > (b)"}),
        ("a <= b < c", {"a < b < c", "a <= b <= c"}),
        ("a is not b", {"a is b"}),
        ("a + b * c", {"a - b * c", "a + b // c"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("-a", {"a"}),
        ("-1", {"-2"}),
        ("True", {"False"}),
        ("0.5", {"1.5"}),
        ("min(a)", {"pass", "max(a)"}),
        ("a.any()", {"pass", "a.all()"}),
        ("a += b", {"pass", "a -= b"}),
        ("a if b else c", {"a if not (b) else c"}),
        ("raise E(1 + 2)", set()),
        ("a = f'{b + 1}'", set()),
        ("a: x[1] = b", set()),
        ("zip(a, strict=True)", {"pass"}),
        ("a = b.reshape(2, -1)", {"a = b.reshape(3, -1)"}),
    ],
)
def test_the_faults_of_a_line(line, faults):
    source = f'"""A file."""\n\n\ndef f():\n    x\n    {line}\n'.encode()
    made = mutants("a.py", source)
    assert {mutant.is_ for mutant in made} == faults
    for mutant in made:
        assert (mutant.line, mutant.function, mutant.in_function, mutant.was) == (6, "f", True, line)
        assert mutant.source == source.replace(f"    {line}".encode(), f"    {mutant.is_}".encode())


def test_where_a_fault_is():
    source = b"A = 1\n\n@d(2)\nclass C:\n    b: int = 3\n    def f(self, c=4):\n        return 5\n"
    places = [(m.is_, m.function, m.in_function) for m in mutants("a.py", source)]
    assert places == [
        ("A = 2", "", False),
        ("b: int = 4", "C", False),
        ("def f(self, c=5):", "C.f", False),
        ("return 6", "C.f", True),
    ]


def test_letters_of_several_bytes_do_not_shift_a_fault():
    (mutant,) = mutants("a.py", "a = 'µm', 1\n".encode())
    assert mutant.source.decode() == "a = 'µm', 2\n"


def test_every_equivalent_is_a_mutant():
    listed = equivalents()
    assert listed
    for file in {key[0] for key in listed}:
        source = (ROOT / file).read_bytes()
        made = mutants(file, source)
        assert {key for key in listed if key[0] == file} <= {mutant.key for mutant in made}
        for mutant in made[::20]:  # to parse them all takes longer than all else here
            ast.parse(mutant.source)
