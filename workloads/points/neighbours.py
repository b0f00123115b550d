"""Mapping operations on points: farthest point sampling, k nearest neighbours, ball query. Squared distances, exact."""

from __future__ import annotations

import numpy as np

from workloads.errors import BadInput

MARGIN = 1e-9  # of a distance, beyond what rounding in f64 can take from it
NONE = -1  # in place of a neighbour that lies outside the ball


def checked_points(name: str, value) -> np.ndarray:
    """Return points [n, 3] as they are, i64 where they are whole numbers, else f64. Raises BadInput."""
    points = np.asarray(value)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or points.dtype.kind not in "iuf":
        raise BadInput(f"{name} must be real numbers [points, 3], at least one, got {points.dtype}{list(points.shape)}")
    if not np.isfinite(points).all():
        raise BadInput(f"{name} must be finite, got {points[~np.isfinite(points)][0]}")
    if points.dtype.kind == "f":
        return points.astype(np.float64)
    if np.abs(points).max() >= 1 << 29:  # three squares of twice as much fit 62 bits
        raise BadInput(f"{name} must be below 2**29 where they are whole numbers, got {np.abs(points).max()}")
    return points.astype(np.int64)


def farthest_points(points, n: int, first: int = 0) -> np.ndarray:
    """Return i64[n]: points chosen one after the other, each the farthest from all before it, of equals the earliest.

    Raises BadInput.
    """
    points = checked_points("points", points)
    if not 1 <= n <= len(points):
        raise BadInput(f"n must be from 1 to the {len(points)} points, got {n}")
    if not 0 <= first < len(points):
        raise BadInput(f"first must be from 0 to {len(points) - 1}, got {first}")
    axes = np.ascontiguousarray(points.T)
    nearest, chosen = squared(axes, points[first]), np.empty(n, np.int64)
    for place in range(n):
        chosen[place] = first
        nearest = np.minimum(nearest, squared(axes, points[first]), out=nearest)
        first = int(nearest.argmax())
    return chosen


def squared(axes: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the squared distances [n] of points [3, n] from one, added in the order of x, y, z."""
    total = (axes[0] - centre[0]) ** 2
    total += (axes[1] - centre[1]) ** 2
    return np.add(total, (axes[2] - centre[2]) ** 2, out=total)


def nearest(points, centres, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest points of each centre i64[centres, k], nearest first, of equals the earlier, and distances.

    The distances are squared, [centres, k]. Raises BadInput.
    """
    points, centres = checked_points("points", points), checked_points("centres", centres)
    if not 1 <= k <= len(points):
        raise BadInput(f"k must be from 1 to the {len(points)} points, got {k}")
    from scipy.spatial import cKDTree  # late: slow to import

    tree = cKDTree(points)
    worst = tree.query(centres, [k])[0][:, 0]
    # All that are as near as the k-th, and what rounding may hide: which of them stay hangs on their places.
    near = tree.query_ball_point(centres, worst * (1 + MARGIN) + np.finfo(float).tiny)
    n_near = np.array([len(of_centre) for of_centre in near])
    place = np.concatenate(near).astype(np.int64)
    centre = np.repeat(np.arange(len(centres)), n_near)
    apart = (points[place] - centres[centre]) ** 2
    distance = apart[:, 0] + apart[:, 1] + apart[:, 2]
    order = np.lexsort((place, distance, centre))
    rows = (np.cumsum(n_near) - n_near)[:, None] + np.arange(k)
    return place[order][rows], distance[order][rows]


def in_ball(points, centres, radius: float, k: int) -> np.ndarray:
    """Return i64[centres, k]: the k nearest points within the radius, its edge among them, filled up with NONE.

    As PointAcc does it, top-k and a test of the radius; others take the first k points of the file. Raises BadInput.
    """
    if not isinstance(radius, int | float) or not radius > 0:
        raise BadInput(f"radius must be a number above 0, got {radius!r}")
    places, distances = nearest(points, centres, k)
    return np.where(distances <= radius**2, places, NONE)
