"""What the tests of the command share: a way to call it, a small layer in a file, a user's machine, a browser."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cyclekit.command.cli import main
from tests.schema_cases import complaints

TOY = Path(__file__).with_name("toy_sim.py")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # which root, as in a container, cannot have
    "--disable-dev-shm-usage",  # which is small in a container
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--window-size=1400,1000",
)


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    def complaint(self) -> str:
        """Return what the one line on standard error says, of a command that refused bad input as it should."""
        assert self.code == 2
        assert self.err.startswith("zeroskip: error: ")
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("zeroskip: error: ").rstrip()


@pytest.fixture(scope="session")
def zeroskip() -> Callable[..., Finished]:
    """Return a function that runs the command in this process, and holds the JSON that it wrote against its schema."""

    def command(*argv) -> Finished:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(word) for word in argv])
        if "--json" in argv and code in (0, 1):  # whatever is tested, what it wrote is as declared
            path = argv[argv.index("--json") + 1]
            assert complaints(out.getvalue() if path == "-" else Path(path)) == []
        return Finished(code, out.getvalue(), err.getvalue())

    return command


@pytest.fixture(scope="session")
def installed_zeroskip() -> Callable[..., Finished]:
    """Return a function that runs the installed command in a process of its own, as a user's shell does."""

    def command(*argv, environment=None, **options) -> Finished:
        program = Path(sys.executable).with_name("zeroskip")
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        environment = os.environ | (environment or {})
        ended = subprocess.run([program, *argv], env=environment, text=True, check=False, **streams)
        return Finished(ended.returncode, ended.stdout, ended.stderr)

    return command


@pytest.fixture(scope="session")
def layer() -> dict[str, np.ndarray]:
    """Return the arrays of a workload of 6 inputs and 4 outputs."""
    weights = np.zeros((4, 6), np.float32)
    weights[0, 1], weights[1, 1], weights[3, 4], weights[2, 5] = 0.5, -1, 0.25, 2
    return {"weights": weights, "activations": np.array([0, 1, 0, 0, 0.5, 2], np.float32)}


@pytest.fixture(scope="session")
def layer_npz(layer, tmp_path_factory) -> Path:
    """Return a file with the layer."""
    path = tmp_path_factory.mktemp("layer") / "layer.npz"
    np.savez(path, **layer)
    return path


@pytest.fixture
def refused(zeroskip, tmp_path):
    """Return a function that runs the command, sees it refused and no file left, and returns the complaint."""

    def command(*argv) -> str:
        before = set(tmp_path.rglob("*"))
        where = ("--json", tmp_path / "out.json") if argv and "--json" not in argv else ()
        complaint = zeroskip(*argv, *where).complaint()
        assert set(tmp_path.rglob("*")) == before
        return complaint

    return command


@pytest.fixture
def toy_site(tmp_path) -> Path:
    """Return a folder of packages, as site-packages is one, in which only the toy machine is installed."""
    site = tmp_path / "site"
    announced = site / "toy_sim-1.dist-info"
    announced.mkdir(parents=True)
    shutil.copy(TOY, site)
    (announced / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-sim\nVersion: 1\n")
    (announced / "entry_points.txt").write_text("[zeroskip.machines]\ntoy = toy_sim:MACHINE\n")
    return site


@pytest.fixture
def toy(toy_site, monkeypatch) -> None:
    """Install the toy machine into this process."""
    monkeypatch.syspath_prepend(toy_site)


def chromium(profile: Path, *arguments: str):
    """Start Chromium with a profile of its own; `.ci/run` says that it must be there."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "no Chromium with its chromedriver: on Debian, apt-get install chromium chromium-driver"
        if os.environ.get("ZEROSKIP_NEEDS_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*BROWSER_ARGUMENTS, *arguments, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, Service(driver))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Return Chromium without a network."""
    found = chromium(tmp_path_factory.mktemp("profile"))
    found.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    found.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield found
    found.quit()
