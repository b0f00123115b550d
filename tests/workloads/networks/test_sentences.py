"""Are there sentences enough, and are they sentences?"""

import ast
import itertools

import pytest

from workloads.networks import sentences as module
from workloads.networks.sentences import sentences


@pytest.fixture(scope="module")
def some():
    return list(itertools.islice(sentences(), 300))


def test_each_begins_and_ends_as_one_and_has_a_fitting_length(some):
    assert len(some) == len(set(some)) == 300
    for sentence in some:
        assert sentence[0].isupper()
        assert sentence[-1] in ".!?"
        assert 5 <= len(sentence.split()) <= 40
        assert ">>>" not in sentence


def test_they_repeat(some):
    assert list(itertools.islice(sentences(), 300)) == some


def test_a_docstring_is_cut_at_its_sentences(tmp_path, monkeypatch):
    text = "Return the sum of two numbers. Too short.\n\nIt wraps over\ntwo lines, it does! and goes on.\n\n>>> f(1)"
    (tmp_path / "a.py").write_text(ast.unparse(ast.parse(f"def f():\n    {text!r}\n")), encoding="utf-8")
    (tmp_path / "b.py").write_text('"""Return the sum of two numbers."""', encoding="utf-8")
    monkeypatch.setattr(module.sysconfig, "get_path", lambda name: str(tmp_path))
    assert list(sentences()) == ["Return the sum of two numbers.", "It wraps over two lines, it does! and goes on."]
