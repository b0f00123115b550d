"""Does what a user installs, with the newest of everything it needs, run outside the repository?"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGES = ("zeroskip", "workloads", "cyclekit", "eie_sim", "pointacc_sim", "tensorcore_sim")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Return the wheel, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """Return a function that runs the command of an environment with nothing in it but the wheel and its needs."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    binaries = folder / "venv" / "bin"
    pip = [binaries / "python", "-m", "pip", "install", "-q", "--upgrade", "--upgrade-strategy", "eager"]
    subprocess.run([*pip, wheel], check=True, cwd=folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def command(*argv):
        result = folder / "result.json"
        asked = [binaries / "zeroskip", *argv, "--json", result]
        ended = subprocess.run(asked, cwd=folder, env=kept, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "Warning" not in ended.stderr
        return json.loads(result.read_text())

    return command


def test_the_wheel_holds_the_packages_their_data_and_its_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts]
    assert {path.suffix for path in files} >= {".py", ".npz", ".csv", ".fashion-mnist", ".js", ".css"}
    assert {str(path.relative_to(ROOT)) for path in files} <= inside
    assert {f"{package}/py.typed" for package in PACKAGES} <= inside
    assert any(name.endswith("licenses/workloads/data/LICENSE.fashion-mnist") for name in inside)
    assert not any(name.startswith(("tests/", "docs/", "benchmarks/")) for name in inside)


def test_the_demo_runs_checks_its_values_and_draws(fresh, tmp_path):
    told = fresh("demo", "--figures", tmp_path)
    machines = {name: found for name, found in told.items() if name not in ("schema_version", "command")}
    assert machines.keys() == {"eie", "pointacc", "tensorcore"}
    assert all(found["passed"] is True for found in machines.values())
    assert all(len(found["remember"]) == 3 for found in machines.values())
    figures = [figure for found in machines.values() for figure in found["figures"]]
    assert len(figures) >= 5
    for figure in figures:
        with Image.open(figure) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(picture.width * picture.height)) > 3


def test_a_file_runs(fresh, tmp_path):
    np.savez(tmp_path / "small.npz", weights=[[0, 1, 0.5], [2, 0, 0]], activations=[[1, 0, 1], [0, 2, 0]])
    runs = fresh("run", "eie", tmp_path / "small.npz", "--check")
    assert [run["check"]["passed"] for run in runs] == [True, True]
