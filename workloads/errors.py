"""The one exception for input that a person can mend, in one line that the command prints; and how names are met."""

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

MOST_LETTERS = 1000  # of a glob: fnmatch takes the square of them, 15 s for 20,000 brackets


class BadInput(ValueError):
    """Bad input from outside; the message names the field, the value and what would do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" when a known name is near, else ": one of a, b, c"."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {near[0]!r}?" if near else f": one of {', '.join(known)}"


def fits(name: str, glob: str) -> bool:
    """Tell whether a name fits a glob of * ? [ ], where case counts; raises BadInput for a glob that is too long."""
    if len(glob) > MOST_LETTERS:
        raise BadInput(f"a glob must have at most {MOST_LETTERS:,} letters, got {len(glob):,}: {glob[:30]!r}...")
    return fnmatchcase(name, glob)
