"""Plain, slow twins of patterns and masks: lists of places and sorting, nothing clever."""

import itertools
import math
import re


def groups(name, n_out, n_in, kernel):
    """Return the groups of a pattern, each a list of (output, input), in C order of their first weights."""
    box = re.fullmatch(r"\w+ (\d+)x(\d+)", name)
    height, width = (int(box[1]), int(box[2])) if box else (1, 1)
    if name in ("kernel", "channel"):
        width = kernel
    if name == "filter":
        width = n_in
    if name == "channel":
        height = n_out
    tops, lefts = range(0, n_out, height), range(0, n_in, width)
    return [
        [(i, j) for i in range(top, top + height) for j in range(left, left + width)]
        for top, left in itertools.product(tops, lefts)
    ]


def best(scores, of, n_kept):
    """Return the n_kept groups of `of` whose scores sum to most, the earlier of equals; scores: {place: score}."""
    return sorted(of, key=lambda group: (-sum(scores[place] for place in group), group[0]))[:n_kept]


def kept(scores, name, density, kernel, within):
    """Return the set of places kept in scores, a list of rows."""
    n_out, n_in = len(scores), len(scores[0])
    by_place = {(i, j): scores[i][j] for i in range(n_out) for j in range(n_in)}
    of = groups(name, n_out, n_in, kernel)
    sets = [of] if within == "layer" else [list(row) for _, row in itertools.groupby(of, lambda group: group[0][0])]
    return {place for one in sets for group in best(by_place, one, round(density * len(one))) for place in group}


def kept_n_of_m(values, n):
    """Return the places of the n of one group of values that sum to most, by trying all; the earlier of equals."""
    return max(
        itertools.combinations(range(len(values)), n), key=lambda c: (math.fsum(values[i] for i in c), [-i for i in c])
    )
