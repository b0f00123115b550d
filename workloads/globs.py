"""Names by pattern: * for any letters, ? for one, [ab] for one of several; upper and lower case differ."""

from fnmatch import fnmatchcase

from workloads.errors import BadInput

MOST_LETTERS = 1000  # of a glob: fnmatch takes the square of them, 15 s for 20,000 brackets


def fits(name: str, glob: str) -> bool:
    """Tell whether a name fits a glob; raises BadInput for a glob that is too long."""
    if len(glob) > MOST_LETTERS:
        raise BadInput(f"a glob must have at most {MOST_LETTERS:,} letters, got {len(glob):,}: {glob[:30]!r}...")
    return fnmatchcase(name, glob)
