"""Does `sensitivity --blocks` write scores and sizes that `llm --budget` takes, and refuse what has no blocks?"""

import json

import pytest

from cyclekit.budgets.blocks import read_scores
from cyclekit.command.cli import main
from tests.small_transformers import drawn_decoder, drawn_samples
from workloads import tasks
from workloads.recipes import variants
from workloads.transformers import config


@pytest.fixture
def small(monkeypatch):
    decoder = drawn_decoder()
    samples = drawn_samples()
    fields = {"arrays": decoder.arrays, "provenance": "drawn", "inputs": samples, "test_inputs": samples}
    task = tasks.Task(name="small", network=decoder, **fields)
    monkeypatch.setattr(tasks, "NAMED", {**tasks.NAMED, "small": (lambda: task, "a small decoder")})
    return decoder


def test_scores_go_from_one_verb_to_the_other(small, tmp_path, capsys):
    assert main(["sensitivity", "small", "--blocks", "--folder", str(tmp_path)]) == 0
    assert "what the loss rises by with one block changed" in capsys.readouterr().out
    model = config.load(str(tmp_path))
    sizes = (model.n_layers, model.hidden, model.ffn, model.n_heads, model.n_kv_heads, model.head_dim, model.vocab)
    assert sizes == (3, 8, 6, 4, 2, 4, 11)
    read = read_scores(tmp_path / "scores.csv", model)
    expected = {}
    for block, field, size, loss in variants.scores(small, drawn_samples()):
        expected.setdefault((block, field), {})[size] = loss
    assert read == expected
    words = ["llm", str(tmp_path), "--machine", "tensorcore:h100-sxm", "--input", "8", "--output", "8"]
    assert main([*words, "--budget", "0.95", "--scores", str(tmp_path / "scores.csv")]) == 0


def test_json_has_the_rows(small, tmp_path):
    assert main(["sensitivity", "small", "--blocks", "--json", str(tmp_path / "told.json")]) == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["dense_loss"] == small.loss(drawn_samples())
    assert [row["variant"] for row in told["rows"][:6]] == [
        *("kv_heads=1", "attention=none"),
        *("ffn=4", "ffn=3", "ffn=2", "ffn=none"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits-mlp", "--blocks"], "--blocks takes a decoder, such as docstrings-decoder, got 'digits-mlp'"),
        (
            ["small", "--blocks", "--pattern", "2:4"],
            "--blocks cuts blocks as they are: leave --densities and --pattern",
        ),
    ],
)
@pytest.mark.usefixtures("small")
def test_what_has_no_blocks_is_refused(words, message, capsys):
    assert main(["sensitivity", *words]) == 2
    assert message in capsys.readouterr().err
