"""Do equal recipes on equal inputs give equal bytes, whatever number of BLAS threads there is?"""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cyclekit.comparison.report import error
from workloads import Model, Workload, load
from workloads.blas import one_thread
from workloads.networks.saved import to_bytes
from workloads.recipes.recipe import Recipe

STEPS = {
    "sparsegpt, tuned, shared": 'do = "prune"\ncriterion = "sparsegpt"\ndensity = 0.3\n[[step]]\ndo = "tune"\n'
    'epochs = 1\nheld_out = 0\n[[step]]\ndo = "share"',
    "wanda, swept, gptq": 'do = "prune"\npattern = "2:4"\ncriterion = "wanda"\n[[step]]\ndo = "reconstruct"\n'
    'method = "sweep"\n[[step]]\ndo = "quantise"\nmethod = "gptq"',
}


def n_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def with_threads(n: int, work):
    """Return what `work` gives where there are n BLAS threads; as many as there are cores, or more, are had."""
    with threadpool_limits(limits=n, user_api="blas"):
        assert set(n_threads()) == {n}
        return work()


def test_one_thread_is_one_in_numpy_s_and_in_scipy_s_blas():
    def within():
        with one_thread():
            return n_threads()

    seen = with_threads(2, within)
    assert len(seen) >= 1
    assert set(seen) == {1}
    assert with_threads(2, n_threads) == [2] * len(seen)


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_a_recipe_gives_equal_bytes(steps):
    network = load("lenet-300-100-dense").first(200)

    def fitted() -> bytes:
        result = Recipe.parse(f"[[step]]\n{steps}\n").fit(network)
        return to_bytes((*result.workloads(network.inputs, 50), *result.apply().layers), "")

    assert with_threads(1, fitted) == with_threads(2, fitted) == with_threads(4, fitted)


def test_the_error_of_a_layer_is_equal():
    rng = np.random.default_rng(1)
    dense = Workload(name="w", weights=rng.standard_normal((300, 700)), activations=rng.standard_normal((64, 700)))
    pruned = Recipe.parse('[[step]]\ndo = "prune"\ndensity = 0.3\n').fit(dense).apply()
    assert len({with_threads(n, lambda: error(dense, pruned)) for n in (1, 2, 4)}) == 1


def test_what_reaches_the_layers_of_a_network_is_equal():
    def network() -> bytes:
        layers = load("lenet-300-100").layers
        return to_bytes(Model(name="n", operators=tuple(layers)).layers, "")

    assert with_threads(1, network) == with_threads(2, network)


def test_the_commands_write_equal_bytes(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(f"[[step]]\n{STEPS['sparsegpt, tuned, shared']}\n")
    digests = []
    for n in ("1", "2"):
        environment = os.environ | {f"{name}_NUM_THREADS": n for name in ("OPENBLAS", "MKL", "OMP")}
        out, report, compared = (tmp_path / name for name in (f"{n}.npz", f"{n}.json", f"c{n}.json"))
        prune = ["prune", "lenet-300-100-dense", "--inputs", "200", "--recipe", recipe, "--out", out, "--json", report]
        compare = ["compare", tmp_path / "1.npz", "--batch", "4", "--json", compared]
        for words in (prune, compare):
            subprocess.run(
                [sys.executable, "-c", "import sys; from cyclekit.command.cli import main; sys.exit(main())", *words],
                env=environment,
                check=True,
                capture_output=True,
            )
        errors = [layer["error"] for layer in json.loads(report.read_text())["layers"]]
        digests.append((hashlib.sha256(out.read_bytes()).hexdigest(), errors, compared.read_text()))
    assert digests[0] == digests[1]
