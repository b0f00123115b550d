"""English sentences that every Python brings: the docstrings of the standard library."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

N_FEWEST_WORDS, N_MOST_WORDS = 5, 40


def sentences() -> Iterator[str]:
    """Yield the different sentences of 5 to 40 words in the docstrings of the library's own modules, by file name.

    They depend on Python's version. Doctests and what does not begin and end as a sentence are left out.
    """
    seen = set()
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                for sentence in _sentences(ast.get_docstring(node) or ""):
                    if sentence not in seen:
                        seen.add(sentence)
                        yield sentence


def _sentences(text: str) -> list[str]:
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if ">>>" not in part)
    parts = (sentence for paragraph in paragraphs for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", paragraph))
    return [part for part in parts if re.fullmatch(r"[A-Z].*[.!?]", part) and _is_of_length(part)]


def _is_of_length(sentence: str) -> bool:
    return N_FEWEST_WORDS <= len(sentence.split()) <= N_MOST_WORDS
