"""Is a bad recipe refused in one line that names the step, the key, the value and what would do?"""

import numpy as np
import pytest

from workloads import BadInput, Workload
from workloads.networks.nets import mlp
from workloads.recipes.recipe import Recipe
from workloads.recipes.subjects import subject


@pytest.fixture(scope="module")
def net():
    """Return a network 8 -> 12 -> 8 -> 3."""
    return mlp((8, 12, 8, 3), seed=1)


@pytest.fixture(scope="module")
def calibration():
    """Return inputs f32[40, 8] and labels int[40] of three classes."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((40, 8), np.float32), rng.integers(0, 3, 40)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a recipe must hold at least one [[step]], got none"),
        ("[[step", "no TOML: "),
        (f"seed = {'9' * 5000}", "no TOML: "),
        (f"seed = {2**63}", "no TOML: a whole number must fit 64 bits"),
        (f"seed = {'[' * 20_000}", "no TOML: "),
        ("sed = 3", "unknown key 'sed', did you mean 'seed'?"),
        ("step = 3", "step must be tables, each headed [[step]], got 3"),
        ('seed = -1\n[[step]]\ndo = "share"', "seed must be a whole number from 0 on, got -1"),
        ("[[step]]\nbits = 4", "step 1: do must say what to do, one of prune, share, "),
        ('[[step]]\ndo = "prun"', "step 1: unknown do 'prun', did you mean 'prune'?"),
    ],
)
def test_a_file_that_means_nothing(text, complaint):
    with pytest.raises(BadInput) as error:
        Recipe.parse(text)
    assert str(error.value).startswith(complaint)


@pytest.mark.parametrize(
    ("do", "keys", "complaint"),
    [
        ("prune", "", "density must be a number above 0 and at most 1, got None"),
        ("prune", "density = 0", "density must be a number above 0 and at most 1, got 0"),
        ("prune", "density = nan", "density must be a number above 0"),
        ("prune", 'density = "half"', "density must be a number above 0 and at most 1, got 'half'"),
        ("prune", 'density = {"*" = 2}', "density must be a number above 0 and at most 1, got 2"),
        ("prune", 'pattern = "blok"', "pattern must be element, "),
        ("prune", 'density = 1\ncriterion = "magnitud"', "unknown criterion 'magnitud', did you mean 'magnitude'?"),
        ("prune", "density = 1\np = 0", "p must be a number above 0, got 0"),
        ("prune", 'density = 1\np = 2\ncriterion = "obd"', "p belongs to criterion 'magnitude', got 2 with 'obd'"),
        ("prune", 'density = 1\nwithin = "rows"', "unknown within 'rows', did you mean 'row'?"),
        ("prune", "density = 1\nfloor = 0.1", "floor belongs to scope 'global', got 0.1 with scope 'layer'"),
        ("prune", 'pattern = "2:4"\nscope = "global"', "scope 'global' takes one density, a pattern other than N:M"),
        ("prune", "density = 1\nallow_empty = 1", "allow_empty must be true or false, got 1"),
        ("prune", "density = 1\ntargets = 3", "targets must be globs over matrix names, such as ['fc*'], got 3"),
        ("prune", "density = 1\ntargets = []", "targets must hold at least one glob, such as '*', got none"),
        (
            "prune",
            'density = 1\npattern = "filter"\ncriterion = "sparsegpt"',
            "criterion 'sparsegpt' takes pattern ",
        ),
        ("prune", 'density = 1\ncriterion = "lasso"', "criterion 'lasso' takes pattern 'channel'"),
        ("prune", 'pattern = "2:4"\ndensity = 0.25', "density of pattern '2:4' is 0.5: leave it out, got 0.25"),
        ("share", "bits = 9", "bits must be a whole number from 1 to 8, got 9"),
        ("share", "bit = 4", "unknown key 'bit', did you mean 'bits'?"),
        ("share", 'method = "exat"', "unknown method 'exat', did you mean 'exact'?"),
        ("quantise", "per = 0", "per must be 'tensor', 'channel' or a group size of at least 1, got 0"),
        ("reconstruct", 'method = "swep"', "unknown method 'swep', did you mean 'sweep'?"),
        ("permute", 'pattern = "filter"', "pattern must be N:M, such as 2:4, got 'filter'"),
        ("permute", "kicks = -1", "kicks must be a whole number from 0 to 1000000, got -1"),
        ("permute", "kicks = 1000001", "kicks must be a whole number from 0 to 1000000, got 1000001"),
        ("tune", 'targets = ["a"]', "targets and ignore are not for tune"),
        ("tune", "epochs = 0", "epochs must be a whole number from 1 to "),
        ("tune", 'optimiser = "adan"', "unknown optimiser 'adan', did you mean 'adam'?"),
        ("tune", "dropout = 1", "dropout must be below 1, got 1"),
        ("tune", 'schedule = "cosin"', "unknown schedule 'cosin', did you mean 'cosine'?"),
        ("tune", "power = 2", "power belongs to schedule 'polynomial', got 2 with 'one-cycle'"),
        ("tune", 'schedule = "cosine"\ndecay = 0.9', "decay belongs to schedule 'exponential', got 0.9 with 'cosine'"),
        ("tune", 'schedule = "exponential"\ndecay = 0', "decay must be above 0 and at most 1, got 0"),
        ("tune", "held_out = 1", "held_out must be below 1, got 1"),
        ("tune", "patience = 0", "patience must be a whole number from 1 to "),
        ("tune", "density = 0", "density must be a number above 0 and at most 1, got 0"),
        ("tune", "density = 0.5\nend_epoch = 11", "end_epoch must be a whole number from 1 to 10, got 11"),
        ("tune", "density = 0.5\nfrequency = 0", "frequency must be a whole number from 1 to "),
        ("tune", "end_epoch = 2", "end_epoch belongs to a density that is reached, got 2 without"),
        ("tune", "frequency = 2", "frequency belongs to a density that is reached, got 2 without"),
        ("tune", "held_out = 0\npatience = 2", "patience takes a share that is held_out, got 2 with held_out 0"),
    ],
)
def test_a_step_that_means_nothing(do, keys, complaint):
    with pytest.raises(BadInput) as error:
        Recipe.parse(f'[[step]]\ndo = "share"\n[[step]]\ndo = "{do}"\n{keys}')
    assert str(error.value).startswith(f"step 2 ({do}): {complaint}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('do = "prune"\ndensity = 1\ntargets = ["ip4"]', "targets: no matrix fits 'ip4', did you mean 'ip"),
        ('do = "prune"\ndensity = 1\nignore = ["fc*"]', "ignore: no matrix fits 'fc*': one of ip1, ip2, ip3"),
        ('do = "prune"\ndensity = 1\nignore = ["*"]', "ignore must leave a matrix to work on, got ['*']"),
        ('do = "prune"\ndensity = {"*" = 1, "x" = 1}', "no layer fits 'x'"),
        ('do = "prune"\npattern = "block 5x4"\ndensity = 1', "matrix 'ip1': shape must be a multiple of 5 x 4"),
        ('do = "prune"\ndensity = 0.001', "matrix 'ip1' would be pruned away whole: raise density"),
        ('do = "prune"\ndensity = 1\ncriterion = "apoz"', "criterion 'apoz' takes a ReLU behind the matrix, 'ip3'"),
        ('do = "prune"\ndensity = 1\ncriterion = "scaling"', "criterion 'scaling' takes a BatchNorm behind the matrix"),
        ('do = "prune"\ndensity = 1\ncriterion = "contribution"', "criterion 'contribution' takes a matrix behind"),
        ('do = "permute"', "matrix 'ip1' has no matrix before it"),
        ('do = "quantise"\n[[step]]\ndo = "tune"', "matrix 'ip1' is quantised, which this would undo"),
        ('do = "prune"\ndensity = 0.5\n[[step]]\ndo = "reconstruct"', "matrix 'ip1': least-squares would fill "),
    ],
)  # fmt: skip
def test_a_step_that_does_not_fit_the_network(net, calibration, text, complaint):
    with pytest.raises(BadInput) as error:
        Recipe.parse(f"[[step]]\n{text}").fit(net, *calibration)
    assert str(error.value).partition("): ")[2].startswith(complaint)
    assert str(error.value).startswith("step ")


def test_what_learns_takes_labels(net, calibration):
    for text in ('do = "tune"', 'do = "prune"\ndensity = 1\ncriterion = "obd"'):
        with pytest.raises(BadInput, match="labels"):
            Recipe.parse(f"[[step]]\n{text}").fit(net, calibration[0])


def test_only_what_computes_takes_a_calibration(net):
    with pytest.raises(BadInput, match="calibration must be given"):
        Recipe.parse('[[step]]\ndo = "share"').fit(net)
    with pytest.raises(BadInput, match="calibration must be given"):
        Recipe.parse('[[step]]\ndo = "share"').fit(Workload(name="w", weights=[[1]], activations=[1]), np.ones((1, 1)))
    with pytest.raises(BadInput, match="network must be a Sequential, an Encoder"):
        subject(3)


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read"), (b"\xff", "not UTF-8"), (b"a", "no TOML")])
def test_a_file_that_is_no_recipe(tmp_path, content, told):
    path = tmp_path / "r.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=told) as error:
        Recipe.read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("key", ["targets = [GLOB]", "ignore = [GLOB]", "density = {GLOB = 0.5}"])
def test_a_glob_longer_than_any_name(net, calibration, key):
    # 20,000 brackets took fnmatch 15 s
    text = f'[[step]]\ndo = "prune"\n{key}\n' + ("" if "density" in key else "density = 0.5\n")
    recipe = Recipe.parse(text.replace("GLOB", f'"{"[" * 20_000}"'))
    with pytest.raises(BadInput, match=r"a glob must have at most 1,000 letters, got 20,000: '\[{30}'\.\.\."):
        recipe.fit(net, *calibration)
