"""Is a cloud read from each kind of file, cut into voxels as it should, and refused where it is none?"""

import struct

import numpy as np
import pytest

import workloads
from workloads import BadInput
from workloads.points.clouds import read
from workloads.points.coordinates import voxelise
from workloads.points.networks import load

POINTS = np.array([[0.0, 0.0, 0.0], [0.09, 0.0, 0.0], [0.31, 0.2, 0.1], [-0.05, 0.0, 0.0]])


def test_points_lie_in_the_voxels_of_a_grid_from_their_least_on():
    coordinates, voxel = voxelise(POINTS, 0.1)
    assert {tuple(row) for row in coordinates.tolist()} == {(0, 0, 0), (1, 0, 0), (3, 2, 1)}
    assert coordinates[voxel].tolist() == [[0, 0, 0], [1, 0, 0], [3, 2, 1], [0, 0, 0]]


def ply_text(path):
    header = "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 4\nproperty float x\nproperty float y\n"
    header += (
        "property uchar red\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = "".join(f"{x} {y} 7 {z}\n" for x, y, z in POINTS)
    path.write_text(header + rows + "3 0 1 2\n", encoding="ascii")


def ply_binary(path):
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\n"
    header += b"property double z\nproperty uchar red\nend_header\n"
    path.write_bytes(header + b"".join(struct.pack("<dddB", *row, 7) for row in POINTS))


def kitti(path):
    path.write_bytes(np.concatenate([POINTS, [[1], [2], [3], [4]]], axis=1).astype("<f4").tobytes())


def npz_of_points(path):
    np.savez(path, points=POINTS)


@pytest.mark.parametrize(
    ("write", "name"),
    [(ply_text, "a.ply"), (ply_binary, "a.ply"), (kitti, "a.bin"), (npz_of_points, "a.npz")],
)
def test_each_file_gives_the_same_voxels(write, name, tmp_path):
    write(tmp_path / name)
    cloud = read(tmp_path / name, 0.1)
    assert {tuple(row) for row in cloud.coordinates.tolist()} == {(0, 0, 0), (1, 0, 0), (3, 2, 1)}
    assert "4 points in voxels of 0.1 m" in cloud.provenance


def test_las(tmp_path):
    laspy = pytest.importorskip("laspy")
    file = laspy.create()
    file.header.scales = [0.001] * 3
    file.xyz = POINTS
    file.write(str(tmp_path / "a.las"))
    assert len(read(tmp_path / "a.las", 0.1).coordinates) == 3


@pytest.mark.parametrize(("minor", "place", "each_bytes"), [(2, 100, 54), (4, 100, 54), (4, 243, 60)])
def test_a_las_header_that_counts_more_records_than_fit_is_refused_before_any_is_made(
    tmp_path, minor, place, each_bytes
):
    """LAS 1.4 R15: a variable length record has 54 bytes at least and is counted at 100, an extended one 60, at 243."""
    content = bytearray(b"LASF" + bytes(396))
    content[25] = minor
    for n, refused in ((400 // each_bytes, False), (400 // each_bytes + 1, True), (2**32 - 1, True)):
        content[place : place + 4] = n.to_bytes(4, "little")
        (tmp_path / "a.las").write_bytes(content)
        with pytest.raises(BadInput) as complaint:
            read(tmp_path / "a.las", 0.1)
        assert (f"it counts {n:,} records" in str(complaint.value)) == refused


def test_a_voxel_s_features_are_the_mean_of_its_points(tmp_path):
    kitti(tmp_path / "a.bin")
    cloud = read(tmp_path / "a.bin", 0.1)
    at = cloud.coordinates.tolist().index([0, 0, 0])
    assert cloud.features[at] == pytest.approx([(0 - 0.05) / 2, 0, 0, (1 + 4) / 2])


def test_a_cloud_with_a_network_is_a_workload(tmp_path):
    np.savez(tmp_path / "a.npz", coordinates=[[0, 0, 0], [0, 1, 0]], features=np.ones((2, 7), np.float32))
    model = workloads.load(f"{tmp_path / 'a.npz'}:submanifold-3x3x3")
    assert model.layers[0].in_channels == 7
    assert "features given" in model.provenance
    npz_of_points(tmp_path / "b.npz")
    model = workloads.load(f"{tmp_path / 'b.npz'}:submanifold-3x3x3@0.1")
    assert model.layers[0].positions == 3
    assert "features drawn with seed 0" in model.provenance
    work = workloads.load("lidar-0.2:submanifold-3x3x3")
    assert (work.name, work.layers[0].positions) == ("lidar-0.2:submanifold-3x3x3", 8032)  # a name that loads it again


@pytest.mark.parametrize(
    ("arrays", "suffix", "message"),
    [
        ({"points": POINTS}, "", "say the size of a voxel in metres, as in :minkunet-0.5@0.1"),
        ({"coordinates": [[0, 0, 0]]}, "@0.1", "holds voxels already"),
        ({"points": POINTS}, "@x", "a number of metres above 0, got 'x'"),
        ({"points": [[0.0, np.nan, 0]]}, "@1", r"finite, got nan at \[0, 1\]"),
        ({"points": np.zeros((0, 3))}, "@1", "at least one"),
        ({"coordinates": np.zeros((0, 3), int)}, "", "at least one voxel"),
        ({"coordinates": [[0, 0, 0], [0, 0, 0]]}, "", "each voxel once"),
        ({"points": [[0.0, 0, 0], [1e9, 0, 0]]}, "@0.1", "cells, more than"),
        ({"weights": [[0, 0, 0]]}, "", "unknown array 'weights'"),
        ({"features": [[0.0]]}, "", "either coordinates of voxels or points"),
        ({"coordinates": [[0, 0, 0]], "features": [[1.0], [2.0]]}, "", "features must be of 1 voxels, got 2"),
        ({"points": POINTS, "features": [[1.0]]}, "@1", "features must be of 4 points, got 1"),
    ],
)
def test_what_is_no_cloud_is_refused(arrays, suffix, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=message):
        load(f"{tmp_path / 'a.npz'}:submanifold-3x3x3{suffix}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ply", b"no header", "no header of a .ply file"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n", "vertices of x, y and z"),
        (
            "a.ply",
            b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
            b"property float z\nend_header\n12345",
            "cut short: 2 vertices take 24 bytes",
        ),
        ("a.bin", b"12345", "16 bytes a point, got 5 bytes"),
        ("a.npz", b"no archive", "no readable .npz file"),
    ],
)
def test_damaged_files_are_refused_in_one_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message) as refused:
        read(tmp_path / name, 0.1)
    assert "\n" not in str(refused.value)


def test_an_archive_of_a_version_to_come_is_refused_as_a_file_of_weights(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.ones((2, 3)))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 173  # 17.3, that it takes to read its first member
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"a.npz' is no readable .npz archive of plain numbers: zip file version 17.3$"):
        workloads.load(tmp_path / "a.npz")


def test_a_cloud_without_a_network_is_told_what_is_missing(tmp_path):
    np.savez(tmp_path / "a.npz", coordinates=[[0, 0, 0]])
    with pytest.raises(BadInput, match=r"is a cloud: name a network on it, as in a.npz:submanifold-3x3x3"):
        workloads.load(tmp_path / "a.npz")
    for name in (tmp_path / "a.npz", "scan.ply", "lidar-0.1"):
        with pytest.raises(BadInput, match=r"unknown network 'minkunet-0.7' on the cloud .*, did you mean 'minkunet"):
            workloads.load(f"{name}:minkunet-0.7")
    with pytest.raises(BadInput, match="does not exist"):
        workloads.load(f"{tmp_path / 'none.npz'}:minkunet-0.5")
