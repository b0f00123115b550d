"""Real inputs, each from the package that holds it: fetched by the user's own pip or apt, verified, kept in a cache."""

import contextlib
import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table

TIMEOUT_S = 600.0  # for one package; the largest has 84 MB
UNREADABLE = (KeyError, FileNotFoundError, EOFError, zipfile.BadZipFile, zlib.error)  # what a bad package can raise
MOST_LETTERS = 300  # of another program's complaint, in an error


def describe() -> dict[str, str]:
    """Return {name: one line on what it is, its size, its licence and the package it comes from}."""
    lines = {}
    for name, files in _table().items():
        (first, *_), n_bytes = files, sum(int(file["n_bytes"]) for file in files)
        what = "; ".join(file["what"] for file in files)
        lines[name] = f"{what}; {n_bytes / 1e6:.1f} MB, {first['licence']}, from {first['client']} {first['package']}"
    return lines


def fetch(name: str, folder: Path | None = None, timeout_s: float = TIMEOUT_S) -> Path:
    """Return the folder with the files of a real input, fetched where they are not yet there whole.

    A package that is installed is not downloaded again. Every file is verified by its SHA-256 (data/real_inputs.csv)
    at each call and appears under its name whole or not at all. folder: the cache's, by default zeroskip in
    $XDG_CACHE_HOME or ~/.cache. Raises BadInput for an unknown name, and where the package cannot be had.
    """
    if is_here(name, folder):
        return _place(name, folder)
    place, files = _place(name, folder), _table()[name]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=place.parent) as scratch:
            _take(files, Path(scratch), timeout_s)
            place.mkdir(exist_ok=True)
            for file in files:
                (Path(scratch) / _name(file)).replace(place / _name(file))
    except OSError as error:
        raise BadInput(f"data {name!r} cannot be kept in {str(place)!r}: {error}") from error
    return place


def is_here(name: str, folder: Path | None = None) -> bool:
    """Return whether a real input is in its folder, whole and verified: see `fetch`. Raises BadInput."""
    if name not in _table():
        raise BadInput(f"unknown data {name!r}{did_you_mean(name, _table())}")
    return all(_is_sound(_place(name, folder) / _name(file), file) for file in _table()[name])


def digits(folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return images f32[1797, 64] (8 x 8) in 0 to 1 and labels u8[1797]. Raises BadInput as `fetch` does."""
    table = gzip.decompress((fetch("digits", folder) / "digits.csv.gz").read_bytes()).decode()
    values = np.loadtxt(table.splitlines(), np.uint8, delimiter=",")
    return values[:, :-1].astype(np.float32) / np.float32(16), values[:, -1]


def fashion_mnist(split: str, folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return images f32[n, 784] (28 x 28) in 0 to 1 and labels u8[n] of "train" (60,000) or "test" (10,000).

    Raises BadInput as `fetch` does.
    """
    prefixes = {"train": "train", "test": "t10k"}
    if split not in prefixes:
        raise BadInput(f"unknown split {split!r}{did_you_mean(split, prefixes)}")
    place, prefix = fetch("fashion-mnist", folder), prefixes[split]
    images = gzip.decompress((place / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((place / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
    # idx: 4 bytes of magic and type, then 4 bytes for each of 3 dimensions or 1.
    return as_inputs(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)), np.frombuffer(
        labels, np.uint8, offset=8
    )


def as_inputs(pixels: np.ndarray) -> np.ndarray:
    """Return f32[...] in 0 to 1 for pixels u8[...]."""
    return pixels.astype(np.float32) / np.float32(255)


@cache
def _table() -> dict[str, list[dict[str, str]]]:
    """Return {name: its files}, each with its client (pip or apt), package, member, sha256, n_bytes, licence, what."""
    inputs: dict[str, list[dict[str, str]]] = {}
    for row in read_table("workloads", "real_inputs"):
        inputs.setdefault(row["name"], []).append(row)
    return inputs


def cache_folder() -> Path:
    """Return the user's cache folder. Source: XDG Base Directory Specification (a relative path is to be ignored)."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "zeroskip"


def _place(name: str, folder: Path | None) -> Path:
    return (cache_folder() if folder is None else Path(folder)) / name


def _name(file: dict[str, str]) -> str:
    return Path(file["member"]).name


def _is_sound(path: Path, file: dict[str, str]) -> bool:
    """Return whether the file is there and is the one that the table means."""
    if not path.is_file() or path.stat().st_size != int(file["n_bytes"]):
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file["sha256"]


def _take(files: list[dict[str, str]], scratch: Path, timeout_s: float) -> None:
    """Put the files into the scratch folder, out of an installed package or a downloaded one."""
    client, package = files[0]["client"], files[0]["package"]
    installed = _installed(client, files[0]["member"])
    if installed is not None and all(_is_sound(installed / file["member"], file) for file in files):
        for file in files:
            shutil.copyfile(installed / file["member"], scratch / _name(file))
        return
    archive = {"pip": _download_wheel, "apt": _download_deb}[client](package, scratch, timeout_s)
    for file in files:
        with contextlib.suppress(*UNREADABLE):  # said below
            _extract(archive, file, scratch)
        if not _is_sound(scratch / _name(file), file):
            raise BadInput(
                f"{archive.name} does not hold the {file['member']} that is meant (SHA-256 {file['sha256']})"
            )


def _installed(client: str, member: str) -> Path | None:
    """Return the folder that the members of an installed package lie in, without importing it."""
    if client == "apt":
        return Path("/")
    spec = importlib.util.find_spec(member.partition("/")[0])
    return Path(spec.origin).parents[1] if spec and spec.origin else None


def _download_wheel(package: str, scratch: Path, timeout_s: float) -> Path:
    """Return the wheel of a requirement, as the user's pip finds it; nothing of it is run or installed."""
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:"]
    _run([sys.executable, "-m", "pip", *words, "--dest", ".", package], package, scratch, timeout_s)
    return _single(scratch, "*.whl", package)


def _download_deb(package: str, scratch: Path, timeout_s: float) -> Path:
    """Return the folder with what is in a Debian package; that takes no rights and installs nothing."""
    _run(["apt-get", "download", "--quiet", "--quiet", package], package, scratch, timeout_s)
    deb = _single(scratch, "*.deb", package)
    _run(["dpkg-deb", "--extract", deb.name, "deb"], package, scratch, timeout_s)
    return scratch / "deb"


def _single(folder: Path, pattern: str, package: str) -> Path:
    files = list(folder.glob(pattern))
    if len(files) != 1:
        raise BadInput(f"package {package} must come as one {pattern}, got {len(files)}")
    return files[0]


def _extract(archive: Path, file: dict[str, str], scratch: Path) -> None:
    """Put one member of a wheel, or of a folder, into the scratch folder; never more bytes than the table says."""
    if archive.is_dir():
        (archive / file["member"]).replace(scratch / _name(file))
        return
    with zipfile.ZipFile(archive) as wheel:
        if wheel.getinfo(file["member"]).file_size != int(file["n_bytes"]):
            return
        with wheel.open(file["member"]) as stream, (scratch / _name(file)).open("wb") as out:
            shutil.copyfileobj(stream, out)


def _run(argv: list[str], package: str, scratch: Path, timeout_s: float) -> None:
    """Run another program in the scratch folder; a failure becomes one line with its own last words."""
    # Its words go to a file: a pipe would stay open, and this wait for it, as long as any child of its own lives.
    with (scratch / "said").open("w+", encoding="utf-8", errors="replace") as said:
        try:
            ended = subprocess.run(
                argv, cwd=scratch, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=timeout_s, check=False
            )
        except FileNotFoundError:
            raise BadInput(f"package {package} takes {argv[0]}, which is not here") from None
        except subprocess.TimeoutExpired:
            raise BadInput(f"package {package} did not come within {timeout_s:g} s") from None
        if ended.returncode:
            said.seek(0)
            lines = [line.strip() for line in said if line.strip()] or [f"{argv[0]} ended with {ended.returncode}"]
            reason = ([line for line in lines if line.startswith(("ERROR", "E:"))] or lines)[-1]
            raise BadInput(f"package {package} cannot be had; are you offline? {reason[:MOST_LETTERS]}")
