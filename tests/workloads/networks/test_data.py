"""Do real inputs come whole, verified and once, and does one line say why they cannot be had?"""

import csv
import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from workloads.errors import BadInput
from workloads.networks import data

CONTENT = b"numbers\n" * 100


def row(
    client="pip", package="toydata==1.0", member="toydata/files/toy.bin", content=CONTENT, **more
) -> dict[str, str]:
    sha256 = hashlib.sha256(content).hexdigest()
    found = {"name": "toy", "client": client, "package": package, "member": member, "sha256": sha256}
    return found | {"n_bytes": str(len(content)), "licence": "MIT", "what": "a toy"} | more


@pytest.fixture
def table(monkeypatch):
    """Return a function that makes its rows the whole table."""

    def only(*rows):
        monkeypatch.setattr(data, "_table", lambda: {"toy": list(rows)})

    only(row())
    return only


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Return a function that makes a wheel of the toy package with the given members, all that pip can find."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))

    def make(**members: bytes) -> Path:
        path = shelf / "toydata-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, content in members.items():
                wheel.writestr(f"toydata/files/{name}.bin", content)
            wheel.writestr("toydata-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toydata\nVersion: 1.0\n")
            wheel.writestr("toydata-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr("toydata-1.0.dist-info/RECORD", "")
        return path

    return make


def refuse_to_run(*_):
    raise AssertionError("nothing had to be downloaded")


# The table


def test_every_row_of_the_table_is_complete():
    text = files("workloads").joinpath("data/real_inputs.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert {found["name"] for found in rows} == data.describe().keys()
    for found in rows:
        assert all(found.values())
        assert len(bytes.fromhex(found["sha256"])) == 32
        assert int(found["n_bytes"]) > 0
        assert found["client"] in ("pip", "apt")
        assert not Path(found["member"]).is_absolute()
    assert len({(found["name"], Path(found["member"]).name) for found in rows}) == len(rows)


def test_descriptions_say_size_licence_and_package():
    assert data.describe()["silero-vad"].endswith("; 3.6 MB, MIT, from pip silero-vad==6.2.3")


# A wheel


def test_a_file_comes_out_of_its_wheel_and_only_once(table, wheels, tmp_path, monkeypatch):
    wheels(toy=CONTENT)
    place = data.fetch("toy", tmp_path / "cache")
    assert place == tmp_path / "cache" / "toy"
    assert (place / "toy.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == ["toy", "toy.bin"]
    monkeypatch.setattr(data, "_run", refuse_to_run)
    assert data.fetch("toy", tmp_path / "cache") == place


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"!"])
def test_a_damaged_file_is_fetched_again(table, wheels, tmp_path, damage):
    wheels(toy=CONTENT)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "toy.bin").write_bytes(damage)
    assert (data.fetch("toy", tmp_path) / "toy.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("members", [{"toy": CONTENT[:-1] + b"!"}, {"toy": CONTENT + b"!"}, {"other": CONTENT}])
def test_a_package_that_holds_another_file_is_refused(table, wheels, tmp_path, members):
    wheels(**members)
    with pytest.raises(BadInput, match=r"toydata-1.0-py3-none-any.whl does not hold the toydata/files/toy.bin"):
        data.fetch("toy", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_of_two_files_none_comes_without_the_other(table, wheels, tmp_path):
    table(row(), row(member="toydata/files/more.bin", content=b"more"))
    wheels(toy=CONTENT)
    with pytest.raises(BadInput, match=r"does not hold the toydata/files/more.bin"):
        data.fetch("toy", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    wheels(toy=CONTENT, more=b"more")
    assert sorted(path.name for path in data.fetch("toy", tmp_path / "cache").iterdir()) == ["more.bin", "toy.bin"]


def test_an_installed_package_is_not_downloaded_nor_imported(table, tmp_path, monkeypatch):
    (tmp_path / "site" / "toydata" / "files").mkdir(parents=True)
    (tmp_path / "site" / "toydata" / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "site" / "toydata" / "files" / "toy.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(data, "_run", refuse_to_run)
    assert (data.fetch("toy", tmp_path) / "toy.bin").read_bytes() == CONTENT


# What cannot be had


def test_an_unknown_name():
    with pytest.raises(BadInput, match="unknown data 'digit', did you mean 'digits'"):
        data.fetch("digit")


def test_a_package_that_pip_does_not_find(table, wheels, tmp_path):
    with pytest.raises(
        BadInput, match=r"^package toydata==1.0 cannot be had; .*No matching distribution found"
    ) as caught:
        data.fetch("toy", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_client_that_does_not_answer(table, tmp_path, monkeypatch):
    # The child that it starts lives on and holds its output open: nobody may wait for that one.
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nsleep 5 &\nsleep 5\n")
    sleeper.chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    with pytest.raises(BadInput, match=r"package toydata==1.0 did not come within 0.2 s"):
        data.fetch("toy", tmp_path / "cache", timeout_s=0.2)
    assert not list((tmp_path / "cache").iterdir())


def test_a_machine_without_the_client(table, tmp_path, monkeypatch):
    table(row("apt", "toydata", "usr/share/toydata/toy.bin"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="package toydata takes apt-get, which is not here"):
        data.fetch("toy", tmp_path)


def test_a_cache_that_cannot_be_written(table, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="data 'toy' cannot be kept in"):
        data.fetch("toy", tmp_path / "file")


@pytest.mark.parametrize(("xdg", "expected"), [("", "home/.cache"), ("relative", "home/.cache"), ("{}/xdg", "xdg")])
def test_the_cache_is_the_users(table, tmp_path, monkeypatch, xdg, expected):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", xdg.format(tmp_path))
    place = tmp_path / expected / "zeroskip" / "toy"
    place.mkdir(parents=True)
    (place / "toy.bin").write_bytes(CONTENT)
    assert data.fetch("toy") == place


# A Debian package


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="takes Debian's dpkg-deb")
def test_a_file_comes_out_of_a_debian_package(table, tmp_path, monkeypatch):
    member = "usr/share/toydata/toy.bin"
    table(row("apt", "toydata", member))
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: toydata\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: toy\n"
    )
    (root / member).parent.mkdir(parents=True)
    (root / member).write_bytes(CONTENT)
    subprocess.run(["dpkg-deb", "--build", root, tmp_path / "toydata_1_all.deb"], check=True, capture_output=True)
    client = tmp_path / "bin" / "apt-get"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\n[ "$1" = download ] && cp "{tmp_path}/toydata_1_all.deb" .\n')
    client.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    assert (data.fetch("toy", tmp_path / "cache") / "toy.bin").read_bytes() == CONTENT


def test_an_input_is_here_where_every_file_is_whole(table, wheels, tmp_path):
    assert not data.is_here("toy", tmp_path)
    wheels(toy=CONTENT)
    place = data.fetch("toy", tmp_path)
    assert data.is_here("toy", tmp_path)
    (place / "toy.bin").write_bytes(CONTENT[:-1] + b"!")
    assert not data.is_here("toy", tmp_path)


# The arrays


def test_digits_are_sixteenths(monkeypatch, tmp_path):
    lines = "\n".join(",".join(map(str, [*range(17), *[0] * 47, label])) for label in (7, 3))
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(lines.encode()))
    monkeypatch.setattr(data, "fetch", lambda name, folder: tmp_path)
    images, labels = data.digits()
    assert images.dtype == np.float32
    assert np.array_equal(images, np.array([[*range(17), *[0] * 47]] * 2) / 16)
    assert labels.tolist() == [7, 3]


def test_fashion_mnist_is_read_from_idx_files(monkeypatch, tmp_path):
    pixels = np.arange(2 * 784, dtype=np.uint32).reshape(2, 784) % 256
    stream = io.BytesIO(bytes.fromhex("00000803 00000002 0000001c 0000001c") + pixels.astype(np.uint8).tobytes())
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(stream.getvalue()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes.fromhex("00000801 00000002 0905")))
    monkeypatch.setattr(data, "fetch", lambda name, folder: tmp_path)
    images, labels = data.fashion_mnist("test")
    assert images.dtype == np.float32
    assert np.array_equal(images, (pixels / np.float32(255)).astype(np.float32))
    assert labels.tolist() == [9, 5]
    with pytest.raises(BadInput, match="unknown split 't10k': one of test, train"):
        data.fashion_mnist("t10k")


def test_the_real_digits_where_scikit_learn_is_installed(tmp_path, monkeypatch):
    datasets = pytest.importorskip("sklearn.datasets")
    monkeypatch.setattr(data, "_run", refuse_to_run)
    images, labels = data.digits(tmp_path)
    expected = datasets.load_digits()
    assert np.array_equal(images, expected.data / 16)
    assert np.array_equal(labels, expected.target)
