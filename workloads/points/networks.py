"""Networks on clouds by name: one layer, MinkUNet as SPVNAS has it, and a backbone like CenterPoint's."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from pathlib import Path

from workloads.errors import BadInput, did_you_mean
from workloads.points.chain import Chain, Tensor
from workloads.points.clouds import READERS, SHIPPED, Cloud, is_cloud, read
from workloads.points.coordinates import DILATING
from workloads.records import Model

MINKUNET = (32, 32, 64, 128, 256, 256, 128, 96, 96)  # channels of MinkUNet 1.0 (mit-han-lab/spvnas, minkunet.py)
N_CLASSES = 19  # of SemanticKITTI
CENTERPOINT = (16, 32, 64, 128)  # channels of a stage (tianweiy/CenterPoint, scn.py, SpMiddleResNetFHD)
POINTNET = (64, 64, 64, 128, 1024)  # (Qi et al., CVPR 2017, Fig 2)
LAYER_CHANNELS = 64


def submanifold(chain: Chain) -> None:
    """Add one submanifold convolution of 3 x 3 x 3."""
    chain.convolution("conv", chain.input, LAYER_CHANNELS)


def minkunet(width: float) -> Callable[[Chain], None]:
    """Return what adds a MinkUNet of a width: a stem, four stages down, four up with skips, a classifier."""
    channels = [int(width * n) for n in MINKUNET]

    def add(chain: Chain) -> None:
        x = chain.convolution("stem.0", chain.input, channels[0])
        skips = [chain.convolution("stem.1", x, channels[0])]
        for stage in range(1, 5):
            x = skips[-1]
            x = chain.convolution(f"stage{stage}.down", x, x.channels, kernel_size=2, stride=2)
            for block in range(2):
                x = residual(chain, f"stage{stage}.{block}", x, channels[stage])
            skips.append(x)
        x = skips.pop()
        for stage in range(1, 5):
            x = chain.transposed(f"up{stage}.up", x, channels[4 + stage])
            x = chain.concatenated(f"up{stage}.cat", x, skips.pop())
            for block in range(2):
                x = residual(chain, f"up{stage}.{block}", x, channels[4 + stage])
        chain.convolution("classifier", x, N_CLASSES, kernel_size=1, relu=False, normalised=False)

    return add


def centerpoint(chain: Chain) -> None:
    """Add a backbone like CenterPoint's: residual blocks at four strides, outputs that dilate; without its last layer.

    That one, of 3 x 1 x 1 cells, folds the height for the 2-D head.
    """
    x = chain.convolution("input", chain.input, CENTERPOINT[0])
    for stage, channels in enumerate(CENTERPOINT):
        if stage:
            x = chain.convolution(f"stage{stage}.down", x, channels, stride=2, convention=DILATING)
        for block in range(2):
            x = residual(chain, f"stage{stage}.{block}", x, channels)


def pointnet(chain: Chain) -> None:
    """Add the shared layers of PointNet's classifier: pointwise, without its transforms, maximum and last layers."""
    x = chain.input
    for place, channels in enumerate(POINTNET):
        x = chain.convolution(f"mlp.{place}", x, channels, kernel_size=1)


def residual(chain: Chain, name: str, x: Tensor, channels: int) -> Tensor:
    """Add two convolutions of 3 x 3 x 3 and the way around them, a pointwise one where the channels change."""
    y = chain.convolution(f"{name}.conv1", x, channels)
    y = chain.convolution(f"{name}.conv2", y, channels, relu=False)
    if x.channels != channels:
        x = chain.convolution(f"{name}.around", x, channels, kernel_size=1, relu=False)
    return chain.add(f"{name}.add", y, x)


NAMED: dict[str, tuple[Callable[[Chain], None], int, str]] = {
    "submanifold-3x3x3": (submanifold, LAYER_CHANNELS, "one submanifold convolution, 64 to 64 channels"),
    "minkunet-0.5": (minkunet(0.5), 4, "MinkUNet of half width: 42 convolutions and 8 pointwise, 19 classes"),
    "minkunet-1.0": (minkunet(1.0), 4, "MinkUNet: the same at full width"),
    "centerpoint": (centerpoint, 5, "a backbone like CenterPoint's: 20 convolutions at four strides"),
    "pointnet": (pointnet, 3, "the five pointwise layers of PointNet's classifier"),
}
_ADDRESS = re.compile(rf"(.+):({'|'.join(map(re.escape, NAMED))})(?:@(.*))?", re.DOTALL)


def describe() -> dict[str, str]:
    """Return {CLOUD:NETWORK: one line} of the networks on the clouds that come with the project."""
    return {
        f"{cloud}:{name}": f"{line}; {about}"
        for cloud, (_, about) in SHIPPED.items()
        for name, (_, _, line) in NAMED.items()
    }


def split(address: str | Path) -> tuple[Path, str, str | None] | None:
    """Return file, network and size of a voxel (a text) of FILE:NETWORK or FILE:NETWORK@SIZE; None for all else."""
    match = _ADDRESS.fullmatch(str(address))
    if match is None or (match[1] not in SHIPPED and Path(match[1]).suffix.lower() not in READERS):
        return None
    return Path(match[1]), match[2], match[3]


def load(address: str | Path, *, seed: int = 0) -> Model:
    """Return the network on the cloud that FILE:NETWORK or FILE:NETWORK@SIZE names, of SIZE metres a voxel.

    seed: of the weights, and of the features where the cloud has none. Raises BadInput.
    """
    parts = split(address)
    if parts is None:
        raise BadInput(f"a cloud with a network must look like cloud.npz:minkunet-0.5, got {str(address)!r}")
    path, name, size = parts
    return build(name, read(path, None if size is None else _size(size)), seed=seed)


def build(name: str, cloud: Cloud, *, seed: int = 0) -> Model:
    """Return a network of that name on a cloud."""
    add, channels, _ = NAMED[name]
    chain = Chain(cloud, channels=channels, seed=seed)
    add(chain)
    return chain.model(name)


def _size(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = float("nan")
    if not (isfinite(size) and size > 0):
        raise BadInput(f"the size of a voxel behind @ must be a number of metres above 0, got {text!r}")
    return size


def check_no_cloud(address: str | Path) -> None:
    """Raise BadInput where an address names a cloud without a network, or with one that is not known."""
    known = f"name a network on it, as in {Path(address).name}:{next(iter(NAMED))}"
    if is_cloud(Path(address)):
        raise BadInput(f"{Path(address).name!r} is a cloud: {known}")
    cloud, _, name = str(address).rpartition(":")
    if cloud in SHIPPED or (cloud and is_cloud(Path(cloud))):
        name = name.partition("@")[0]
        raise BadInput(f"unknown network {name!r} on the cloud {Path(cloud).name!r}{did_you_mean(name, NAMED)}")
