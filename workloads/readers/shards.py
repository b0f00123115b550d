"""Weights in several .safetensors files: an index that says which array lies where, or the folder they are in."""

import json
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.readers import safetensors

KIND = "index of .safetensors files"
INDEX = ".safetensors.index.json"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that an index names, or all in a folder without one, as safetensors.read does.

    A shard must lie beside its index. Raises BadInput.
    """
    if not path.is_dir():
        return _indexed(path)
    indices = sorted(path.glob(f"*{INDEX}"))
    if len(indices) > 1:
        raise BadInput(f"has {len(indices)} indices: name one, as in {indices[0].name}")
    if indices:
        return _indexed(indices[0])
    arrays: dict[str, np.ndarray] = {}
    for file in sorted(path.glob("*.safetensors")):
        for name, array in _shard(file).items():
            if name in arrays:
                raise BadInput(f"has the array {name!r} in two files, one of them {file.name}: name one file")
            arrays[name] = array
    if not arrays:
        raise BadInput("is a folder without arrays in .safetensors files")
    return arrays


def _indexed(path: Path) -> dict[str, np.ndarray]:
    index = json.loads(path.read_text(encoding="utf-8"))
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise BadInput("must hold a weight_map of arrays' names to files' names")
    shards = {}
    for file in dict.fromkeys(places.values()):
        if not file.endswith(".safetensors") or Path(file).name != file or "\\" in file:
            raise BadInput(f"names the shard {file!r}, which must be a .safetensors file beside it")
        if not (path.parent / file).is_file():
            raise BadInput(f"names the shard {file!r}, which is not in its folder")
        shards[file] = _shard(path.parent / file)
    for name, file in places.items():
        if name not in shards[file]:
            raise BadInput(f"names the array {name!r}, which is not in its shard {file}")
    return {name: shards[file][name] for name, file in places.items()}


def _shard(path: Path) -> dict[str, np.ndarray]:
    try:
        return safetensors.read(path)
    except BadInput as error:
        raise BadInput(f"has the shard {path.name}, which {error}") from None
