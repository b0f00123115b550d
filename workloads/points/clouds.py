"""A cloud from a file: voxels, or points that are cut into voxels, with their features where it has some."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.points import las, ply
from workloads.points.coordinates import checked_coordinates, voxelise
from workloads.readers import npz
from workloads.records import checked_array

DATA = Path(__file__).parents[1] / "data"
# One outdoor sweep of 69,792 points, 42 x 59 x 12 m: data/source.ply of small-gicp 1.0.1 (MIT; licence in data/).
SHIPPED = {
    f"lidar-{size}": (DATA / f"lidar_{size}.npz", f"one LiDAR sweep in {n:,} voxels of {size} m")
    for size, n in (("0.05", 28479), ("0.1", 15969), ("0.2", 8032))
}
KNOWN = ("coordinates", "points", "features", "voxel_size_m")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloud:
    """Voxels i32[n, 3], their features f32[n, channels] or None, and one line on where they come from."""

    name: str
    coordinates: np.ndarray
    features: np.ndarray | None = None
    provenance: str = ""

    def __post_init__(self):
        object.__setattr__(self, "coordinates", checked_coordinates(self.coordinates))
        if self.features is not None:
            object.__setattr__(self, "features", checked_array("features", self.features, (2,)))
            if len(self.features) != len(self.coordinates):
                raise BadInput(f"features must be of {len(self.coordinates)} voxels, got {len(self.features)}")


def read(path: str | Path, voxel_size_m: float | None = None) -> Cloud:
    """Return the cloud of an .npz, .ply, .las, .laz or KITTI's .bin file, or one of SHIPPED by its name.

    An .npz file holds `coordinates` of voxels, or `points`, and `features` of either or none. Points are cut into
    voxels of the given size; a voxel's features are the mean of its points'. Raises BadInput.
    """
    named = str(path) if str(path) in SHIPPED else None
    path = Path(path) if named is None else SHIPPED[named][0]
    if not path.is_file():
        raise BadInput(f"cloud {str(path)!r} {'is not a file' if path.exists() else 'does not exist'}")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"cloud {str(path)!r} has an unknown suffix{did_you_mean(path.suffix, READERS)}")
    try:
        arrays = reader(path)
        cloud = _cloud(path, arrays, voxel_size_m)
        return cloud if named is None else replace(cloud, name=named)
    except BadInput as error:
        raise BadInput(f"cloud {str(path)!r}: {error}") from error.__cause__
    except Exception as error:  # whatever a damaged file makes of a parser
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadInput(f"cloud {str(path)!r} is no readable {path.suffix} file: {reason}") from error


def is_cloud(path: Path) -> bool:
    """Tell whether a file is a cloud beyond doubt; a .bin file may hold weights, and one that is damaged anything."""
    suffix = path.suffix.lower()
    if suffix != ".npz":
        return suffix in READERS and suffix != ".bin"
    try:
        with zipfile.ZipFile(path) as archive:
            return not {"coordinates.npy", "points.npy"}.isdisjoint(archive.namelist())
    except Exception:  # whatever a damaged file makes of a parser: the reader will say it
        return False


def _cloud(path: Path, arrays: dict[str, np.ndarray], voxel_size_m: float | None) -> Cloud:
    for name in arrays:
        if name not in KNOWN:
            raise BadInput(f"it has an unknown array {name!r}{did_you_mean(name, KNOWN)}")
    if ("coordinates" in arrays) == ("points" in arrays):
        raise BadInput("it must hold either coordinates of voxels or points")
    features, about = arrays.get("features"), f"file {path.name}"
    if "points" not in arrays:
        if voxel_size_m is not None:
            raise BadInput(f"it holds voxels already: leave @{voxel_size_m:g} out")
        size = arrays.get("voxel_size_m")
        about += "" if size is None else f", voxels of {float(size):g} m"
        return Cloud(name=path.stem, coordinates=arrays["coordinates"], features=features, provenance=about)
    if voxel_size_m is None:
        raise BadInput("it holds points: say the size of a voxel in metres, as in :minkunet-0.5@0.1")
    points = arrays["points"]
    coordinates, voxel = voxelise(points, voxel_size_m)
    if features is not None:
        features = checked_array("features", features, (2,))
        if len(features) != len(points):
            raise BadInput(f"features must be of {len(points)} points, got {len(features)}")
        sums = np.zeros((len(coordinates), features.shape[1]))
        np.add.at(sums, voxel, features)
        features = (sums / np.bincount(voxel)[:, None]).astype(np.float32)
    about += f", {len(points):,} points in voxels of {voxel_size_m:g} m"
    return Cloud(name=path.stem, coordinates=coordinates, features=features, provenance=about)


def _kitti(path: Path) -> dict[str, np.ndarray]:
    """Return the points of KITTI's Velodyne scans: x, y, z and reflectance, f32 each."""
    values = np.fromfile(path, "<f4")
    if path.stat().st_size % 16:
        raise BadInput(f"a KITTI scan has 16 bytes a point, got {path.stat().st_size} bytes")
    rows = values.reshape(-1, 4)
    return {"points": rows[:, :3], "features": rows}


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npz": npz.read,
    ".ply": ply.read,
    ".las": las.read,
    ".laz": las.read,
    ".bin": _kitti,
}
