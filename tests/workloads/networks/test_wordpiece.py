"""Are sentences cut as BERT cuts them?"""

import pytest

from workloads.errors import BadInput
from workloads.networks.wordpiece import tokenise, vocabulary, words

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "want", "##ed", "runn", "##ing", ",", "a"]


@pytest.fixture(scope="module")
def pieces():
    return vocabulary("\n".join(PIECES) + "\n")


def names(sentence, pieces, **options):
    return [PIECES[i] for i in tokenise(sentence, pieces, **options)]


def test_the_longest_piece_goes_first(pieces):
    # The example of BERT's own tokeniser: unaffable -> un ##aff ##able; "##a" is shorter than "##aff" and "##able".
    assert names("UNwanted, runn", pieces) == ["[CLS]", "[UNK]", ",", "runn", "[SEP]"]
    assert names("Unaffable, wanted running", pieces) == (
        ["[CLS]", "un", "##aff", "##able", ",", "want", "##ed", "runn", "##ing", "[SEP]"]
    )


def test_a_word_without_pieces_is_unknown_as_a_whole(pieces):
    assert names("unx a", pieces) == ["[CLS]", "[UNK]", "a", "[SEP]"]
    assert names("a" * 100 + " " + "a" * 101, pieces) == ["[CLS]", "a", *["##a"] * 99, "[UNK]", "[SEP]"]


def test_a_long_sentence_is_cut_before_its_end_mark(pieces):
    assert names("a a a a a", pieces, n_most=4) == ["[CLS]", "a", "a", "[SEP]"]
    assert names("", pieces) == ["[CLS]", "[SEP]"]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("  Hello,\tWORLD!\n", ["hello", ",", "world", "!"]),
        ("café naïve Ångström", ["cafe", "naive", "angstrom"]),
        ("f(x) = $1_000", ["f", "(", "x", ")", "=", "$", "1", "_", "000"]),
        ("a中文b", ["a", "中", "文", "b"]),
        ("a\u00a0b\u2014c\u2026", ["a", "b", "\u2014", "c", "\u2026"]),
        ("a\x00b\ufffdc\u200dd", ["abcd"]),
    ],
)
def test_words(sentence, expected):
    assert words(sentence) == expected


def test_a_vocabulary_without_the_marks_is_named():
    with pytest.raises(BadInput, match=r"vocabulary must hold \[SEP\], 2 pieces do not"):
        vocabulary("[CLS]\n[UNK]")
