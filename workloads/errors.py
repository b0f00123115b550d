"""The one exception for input that a person can mend: its text is one line that the command prints as it is."""

import difflib
from collections.abc import Iterable


class BadInput(ValueError):
    """Bad input from outside; the message names the field, the value and what would do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" when a known name is near, else ": one of a, b, c"."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {near[0]!r}?" if near else f": one of {', '.join(known)}"
