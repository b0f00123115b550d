"""WordPiece, BERT's tokeniser: lower-case words without accents, cut into the longest pieces of a vocabulary."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import numpy as np

from workloads.errors import BadInput

FIRST, LAST, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
N_LONGEST_WORD = 100  # a longer word is unknown, as in BERT's own tokeniser (Devlin et al. 2019)
# CJK ideographs, the blocks that BERT's tokeniser names: each is a word of its own.
IDEOGRAPH = re.compile(
    "([\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f])"
)


def vocabulary(text: str) -> dict[str, int]:
    """Return {piece: id} for the text of a vocab.txt, one piece a line. Raises BadInput without [CLS], [SEP], [UNK]."""
    pieces = {piece: index for index, piece in enumerate(text.removesuffix("\n").split("\n"))}
    for special in (FIRST, LAST, UNKNOWN):
        if special not in pieces:
            raise BadInput(f"vocabulary must hold {special}, {len(pieces)} pieces do not")
    return pieces


def tokenise(sentence: str, pieces: Mapping[str, int], n_most: int = 256) -> np.ndarray:
    """Return i64[tokens]: [CLS], the ids of the pieces, [SEP]; at most n_most in all (256: MiniLM's limit)."""
    names = [piece for word in words(sentence) for piece in _cut(word, pieces)]
    return np.array([pieces[name] for name in (FIRST, *names[: n_most - 2], LAST)])


def words(sentence: str) -> list[str]:
    """Return the words in lower case without accents, every mark of punctuation and every ideograph on its own."""
    spaced = IDEOGRAPH.sub(r" \1 ", "".join(_plain(character) for character in sentence))
    spread = unicodedata.normalize("NFD", spaced.lower())
    letters = (c for c in spread if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if _is_punctuation(c) else c for c in letters).split()


def _plain(character: str) -> str:
    """Return a space for white space, nothing for a control character, else the character."""
    if character.isspace():
        return " "
    return "" if character == "\ufffd" or unicodedata.category(character).startswith("C") else character


def _is_punctuation(character: str) -> bool:
    # BERT counts every ASCII sign that is no letter, digit or space, though Unicode calls some of them symbols.
    if character < "\x7f":
        return not character.isalnum() and not character.isspace()
    return unicodedata.category(character).startswith("P")


def _cut(word: str, pieces: Mapping[str, int]) -> list[str]:
    """Return the longest piece that begins the word, then those that go on, marked ##; [UNK] where none does."""
    pieces_of_word, start = [], 0
    while start < len(word) <= N_LONGEST_WORD:
        mark = "##" if start else ""
        ends = (end for end in range(len(word), start, -1) if mark + word[start:end] in pieces)
        end = next(ends, None)
        if end is None:
            return [UNKNOWN]
        pieces_of_word.append(mark + word[start:end])
        start = end
    return pieces_of_word or [UNKNOWN]
