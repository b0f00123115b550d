"""Does a sparse file take little more memory than its dense f32, and is that said before it is read?"""

import re
import tracemalloc

import numpy as np
import pytest

from cyclekit import machine, terminal
from workloads import address, load
from workloads.readers import READERS, read

N = 3000  # rows and columns
DENSE_BYTES = 4 * N * N
SPARE_BYTES = 3e6  # for lists of the 20 entries a row, pointers and timelines


def entries(n: int, few: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns and values of 20 entries a row, of three values or of many."""
    rng = np.random.default_rng(0)
    rows, columns = np.repeat(np.arange(n), 20), np.concatenate([rng.choice(n, 20, replace=False) for _ in range(n)])
    return rows, columns, rng.integers(1, 4, rows.size) if few else rng.standard_normal(rows.size)


@pytest.fixture
def sparse_file(tmp_path):
    """Return a function that writes N x N weights as a file of a suffix."""

    def write(suffix: str, few: bool = True):
        path = tmp_path / f"big{suffix}"
        rows, columns, values = entries(N, few)
        if suffix == ".mtx":
            lines = [f"{i + 1} {j + 1} {v:.6g}\n" for i, j, v in zip(rows, columns, values, strict=True)]
            path.write_text(
                f"%%MatrixMarket matrix coordinate real general\n% by rows\n{N} {N} {len(lines)}\n" + "".join(lines)
            )
        elif suffix == ".smtx":
            lines = (f"{N}, {N}, {len(rows)}", *(" ".join(map(str, x)) for x in (range(0, 20 * N + 1, 20), columns)))
            path.write_text("\n".join(lines) + "\n")
        else:
            weights = np.zeros((N, N), np.float32)
            weights[rows, columns] = values
            np.savez_compressed(path, weights=weights, activations=np.ones(N, np.float32))
        return path

    return write


def peak_of(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_matrix_market_is_read_as_f32_without_a_wider_copy(sparse_file):
    path = sparse_file(".mtx")
    read(path)  # so that SciPy's modules are not counted
    file_bytes = path.stat().st_size
    assert DENSE_BYTES <= peak_of(lambda: read(path)) <= DENSE_BYTES + 5 * file_bytes < 2 * DENSE_BYTES


@pytest.mark.parametrize("few", [True, False], ids=["three values", "shared by k-means"])
def test_eie_holds_the_dense_weights_once(sparse_file, few):
    work, eie = load(sparse_file(".mtx", few)), machine.load("eie")
    spec = eie.design(None, {})

    def run():
        (image,) = eie.encode([work], spec)
        eie.simulate(image, work.activations[0], spec, engine="schedule")

    run()  # so that compiled code is not counted
    assert peak_of(run) < 0.9 * DENSE_BYTES  # beside the weights: a second copy would be 1.0


@pytest.mark.parametrize("suffix", [".mtx", ".smtx", ".npz"])
def test_what_reading_takes_is_told_from_the_first_lines(sparse_file, suffix, zeroskip, monkeypatch):
    path = sparse_file(suffix)
    _, n_bytes = address.expected(path)
    held_bytes = DENSE_BYTES + 100e6 + (N * N if suffix == ".smtx" else 0)  # a pattern is read as bools first
    assert held_bytes <= n_bytes <= held_bytes + 5 * path.stat().st_size
    assert "expecting" not in zeroskip("explain", "eie", path).err
    monkeypatch.setattr(terminal, "LARGE_BYTES", n_bytes - 1)
    ended = zeroskip("explain", "eie", path)
    assert re.fullmatch(r"zeroskip: expecting about \d+ s and [\d,]+ MB to read big\.\w+\n", ended.err)
    monkeypatch.setattr(terminal, "LARGE_BYTES", n_bytes)
    assert "expecting" not in zeroskip("explain", "eie", path).err


def test_the_memory_of_the_case_that_was_reported(tmp_path):
    path = tmp_path / "big20k.mtx"
    line = b"20000 20000 1\n"
    path.write_bytes(
        b"%%MatrixMarket matrix coordinate real general\n20000 20000 400000\n" + line * 400_000
    )  # only looked at
    seconds, n_bytes = address.expected(path)
    assert seconds > terminal.LONG_S
    assert 4 * 20_000**2 <= n_bytes < 2e9


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_of_a_damaged_file_nothing_is_expected(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"%%\n999999999999 999999999999 1\n1 1 1\n")
    _, n_bytes = address.expected(path)
    assert n_bytes < terminal.LARGE_BYTES


@pytest.mark.parametrize(("seconds", "n_bytes"), [(2.1, 0), (0, 1.1e9)])
def test_long_or_large_work_is_announced(seconds, n_bytes, capsys):
    terminal.announce(2.0, 1e9)
    assert capsys.readouterr().err == ""
    terminal.announce(seconds, n_bytes)
    assert capsys.readouterr().err.startswith("zeroskip: expecting about ")
