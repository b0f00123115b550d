"""Does `zeroskip prune` tell and write a transformer that a recipe made smaller?"""

import json
import re
from pathlib import Path

import pytest

from tests.small_transformers import drawn_decoder, drawn_encoder, drawn_samples, drawn_sentences
from workloads import tasks
from workloads.networks.decoder import Decoder
from workloads.readers import read

DEPTH = '[[step]]\ndo = "depth"\nblocks = 2\ncriterion = "perplexity"\n'
WIDTH = '[[step]]\ndo = "width"\nffn = 4\nheads = 2\nhidden = 6\n'


@pytest.fixture(autouse=True)
def named(monkeypatch):
    """Add a drawn decoder, "writer", and a drawn encoder, "reader", to the networks that have a name."""
    for name, network, samples in (
        ("writer", drawn_decoder(), drawn_samples()),
        ("reader", drawn_encoder(), drawn_sentences()),
    ):
        task = tasks.Task(
            name=name,
            network=network,
            arrays=network.arrays,
            provenance="drawn",
            inputs=samples[:3],
            test_inputs=samples[3:],
        )
        monkeypatch.setitem(tasks.NAMED, name, (lambda task=task: task, "a drawn network"))


@pytest.fixture
def cut(zeroskip, tmp_path):
    """Return a function that prunes a network by a recipe: how the command ended, its JSON or none, and its file."""

    def command(network, text, suffix=".npz", *options):
        recipe, out, told = tmp_path / "r.toml", tmp_path / f"w{suffix}", tmp_path / "w.json"
        recipe.write_text(text)
        words = ("prune", network, "--recipe", recipe, "--out", out, "--batch", "3", "--json", told)
        ended = zeroskip(*words, *options)
        return ended, json.loads(told.read_text()) if told.exists() else None, out

    return command


@pytest.mark.parametrize("network", ["writer", "reader"])
def test_the_blocks_that_went_count_in_the_time_that_is_compared_with(cut, network):
    ended, whole, _ = cut(network, '[[step]]\ndo = "prune"\ndensity = 1.0\n')
    assert ended.code == 0, ended.err
    ended, told, _ = cut(network, DEPTH)
    assert ended.code == 0, ended.err
    assert len(told["layers"]) == len(whole["layers"]) - len(whole["layers"]) // 3
    times = [layer["machines"]["tensorcore"]["time_us"] for layer in told["layers"]]
    total = told["totals"]["tensorcore"]
    assert total["speed_up"] == pytest.approx(whole["totals"]["tensorcore"]["time_us"] / sum(times))
    assert total["speed_up"] > 1.2
    assert all(layer["error"] == 0 for layer in told["layers"])  # of what is left nothing is off
    assert "takes block" in told["notes"][0]
    assert told["notes"][0] in ended.out


def test_widths_are_told_and_what_is_written_runs(cut, zeroskip):
    ended, told, path = cut("writer", WIDTH)
    assert ended.code == 0, ended.err
    sizes = {layer["layer"]: (layer["n_out"], layer["n_in"]) for layer in told["layers"]}
    assert sizes["model.layers.1.mlp.down_proj"] == (6, 4)
    assert sizes["model.layers.1.self_attn.q_proj"] == (8, 6)
    assert sizes["model.layers.1.self_attn.k_proj"] == (8, 6)
    assert sizes["lm_head"] == (11, 6)
    assert told["measure"] == "perplexity"
    ended = zeroskip("run", "tensorcore", f"{path}:lm_head", "--check")
    assert ended.code == 0, ended.err


def test_a_cut_decoder_is_a_file_of_weights_again(cut):
    ended, told, path = cut("writer", DEPTH + WIDTH, ".safetensors", "--machines", "none")
    assert ended.code == 0, ended.err
    again = Decoder(read(path), n_heads=2, n_kv_heads=2)
    assert again.layers == (0, 1)
    assert again.perplexity(drawn_samples()[3:]) == pytest.approx(told["quality_after"])


def test_a_file_has_no_place_for_which_channels_of_an_embedding_are_left(cut):
    ended, _, path = cut("reader", WIDTH, ".safetensors", "--machines", "none")
    assert ended.code == 2
    assert "a file of weights has no place for which channels of the embedding are left" in ended.err
    assert not path.exists()
    ended, _, _ = cut("reader", DEPTH, ".safetensors", "--machines", "none")
    assert ended.code == 0, ended.err


def test_each_matrix_of_a_decoder_is_tried_alone(zeroskip):
    ended = zeroskip("sensitivity", "writer", "--densities", "0.5", "--json", "-")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["measure"] == "perplexity"
    assert [row["layer"] for row in told["rows"]] == drawn_decoder().names


def test_the_recipe_of_the_documentation_runs(cut):
    page = (Path(__file__).parents[3] / "docs" / "pruning.md").read_text(encoding="utf-8")
    (recipe,) = (text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if '"depth"' in text)
    ended, _, _ = cut("writer", recipe.replace("blocks = 6", "blocks = 2").replace("ffn = 96", "ffn = 4"))
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("text", ['[[step]]\ndo = "depth"\nblocks = 9\n', '[[step]]\ndo = "width"\nheads = 3\n'])
def test_a_cut_that_cannot_be_ends_in_one_line(cut, text):
    ended, _, path = cut("writer", text)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "step 1" in ended.err
    assert not path.exists()
