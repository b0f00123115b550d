"""Does measuring compile, run and keep what it should, stop in time, and say in one line what is missing?"""

import json
import re
import sys

import numpy as np
import pytest

from benchmarks.hardware import instructions, measure, vectors
from benchmarks.hardware.instructions import MMA, VECTORS, WGMMA, Measured

# A stand-in for nvcc: the "program" that it makes prints one row, or writes for each thread its words of C.
NVCC = """#!{python}
import sys
from pathlib import Path
if "--version" in sys.argv:
    print("Cuda compilation tools, release 13.0, V13.0.88")
    sys.exit()
made = Path(sys.argv[sys.argv.index("-o") + 1])
made.write_text(Path({program!r}).read_text())
made.chmod(0o755)
"""
PROGRAM = """#!{python}
import sys
import numpy as np
from benchmarks.hardware.instructions import VECTORS
if len(sys.argv) == 1:
    print("instruction,in_dtype,out_dtype,n_warps,ilp,period_cycles,fma_per_cycle\\nmma.m16n8k16,f16,f32,1,1,24.7,82.9")
    sys.exit()
(row,) = [row for row in VECTORS if row.key == sys.argv[1]]
words = np.fromfile(sys.argv[2], "<u4").reshape(-1, sum(row.n_registers) + 1)
words[:, -row.n_registers[2]:].tofile(sys.argv[3])
"""
NVIDIA_SMI = "#!/bin/sh\necho 'NVIDIA A100-SXM4-80GB, {capability}, 550.54.15, 1095, 1410, 1593, 400.00'\n"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Put stand-ins first on the PATH; return the function that writes one."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(measure.HERE.parents[1]))

    def write(name: str, text: str) -> None:
        path = folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    return write


def all_tools(tools, tmp_path, capability="8.0"):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    tools("nvcc", NVCC.format(python=sys.executable, program=str(program)))
    tools("nvidia-smi", NVIDIA_SMI.format(capability=capability))


def test_without_nvcc_it_says_so_and_exits_2(tools, tmp_path, capsys):
    assert measure.main(["--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "measure: nvcc is not on the PATH: install the CUDA toolkit, 12.5 or newer\n"


@pytest.mark.parametrize(
    ("nvidia_smi", "said"),
    [
        (None, "no card: nvidia-smi is not on the PATH"),
        ("#!/bin/sh\necho 'No devices were found'; exit 6\n", "no card: nvidia-smi failed: No devices were found"),
        (NVIDIA_SMI.format(capability="7.0"), "compute capability 70: mma.sp needs 80 or more"),
    ],
)
def test_without_a_card_it_says_so_and_exits_2(tools, tmp_path, capsys, nvidia_smi, said):
    all_tools(tools, tmp_path)
    (tmp_path / "tools" / "nvidia-smi").unlink()
    if nvidia_smi:
        tools("nvidia-smi", nvidia_smi)
    assert measure.main(["--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_keeps_the_card_the_cycles_and_the_vectors(tools, tmp_path, monkeypatch):
    all_tools(tools, tmp_path)
    rows = tuple(row for row in VECTORS if row.instruction in ("mma.sp.m16n8k32", "wgmma.sp.m64n8k32"))
    monkeypatch.setattr(instructions, "VECTORS", rows)
    out = tmp_path / "out"
    assert measure.main(["--out", str(out), "--seed", "3"]) == 0
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert (card["card"], card["capability"], card["driver"]) == ("NVIDIA A100-SXM4-80GB", "80", "550.54.15")
    assert (card["clock_sm_mhz"], card["clock_sm_max_mhz"], card["cuda"]) == ("1095", "1410", "13.0.88")
    assert (out / "mma.csv").read_text(encoding="utf-8").count("\n") == 2
    assert not (out / "wgmma.csv").exists()  # an A100 has none
    kept = sorted(path.stem for path in (out / "vectors").iterdir())
    assert kept == sorted(row.key for row in rows if not row.is_wgmma)
    row, tiles, result = vectors.load(out / "vectors" / f"{kept[0]}.npz")
    assert np.array_equal(tiles.values, vectors.make(row, 3).values)
    assert np.array_equal(result, tiles.c)  # what the stand-in gives back
    with np.load(out / "vectors" / f"{kept[0]}.npz") as file:
        assert (str(file["card"]), str(file["cuda"])) == ("NVIDIA A100-SXM4-80GB", "13.0.88")


def test_a_step_that_fails_is_said_and_the_others_run(tools, tmp_path, capsys):
    all_tools(tools, tmp_path)
    tools("nvcc", "#!/bin/sh\n[ $1 = --version ] && echo 'release 13.0, V13.0.88' && exit\necho 'no space'; exit 1\n")
    assert measure.main(["--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "measure: nvcc failed: no space\n"  # of mma.cu and of vectors.cu, said once
    assert (tmp_path / "out" / "card.json").exists()


def test_a_program_that_hangs_is_stopped():
    failures = []
    assert measure.attempt([sys.executable, "-c", "import time; time.sleep(60)"], 1, failures) is None
    assert len(failures) == 1
    assert failures[0].endswith("took more than 1 s and was stopped")


@pytest.mark.parametrize(("capability", "target"), [(80, "80"), (86, "86"), (89, "89"), (90, "90a"), (100, "100")])
def test_it_compiles_for_the_card(tmp_path, capability, target):
    command = measure.compilation("nvcc", "mma", tmp_path, capability)
    assert command[command.index("-gencode") + 1] == f"arch=compute_{target},code=sm_{target}"


def test_every_program_is_there():
    assert {path.stem for path in measure.HERE.glob("*.cu")} == {"mma", "wgmma", "vectors"}


@pytest.mark.parametrize("rows", [MMA, WGMMA, VECTORS], ids=["mma", "wgmma", "vectors"])
def test_an_instruction_is_named_once(rows):
    assert len({row.key for row in rows}) == len(rows)


@pytest.mark.parametrize("row", sorted({*MMA, *WGMMA, *VECTORS}, key=lambda row: row.key), ids=lambda row: row.key)
def test_the_operands_of_the_assembly_are_numbered_as_they_are_given(row):
    text = instructions.source([row])
    said = "".join(re.findall(r'"((?:[{ ]|mma|wgmma)[^"]*)"', text))
    _, _, outputs, inputs = re.search(r'asm volatile\((.*?)(;"|}")\s*: (.*?) : (.*?)\);', text, re.DOTALL).groups()
    n_operands = outputs.count("](") + outputs.count('"+r"(') + inputs.count('"r"(') + inputs.count('"l"(')
    assert {int(number) for number in re.findall(r"%(\d+)", said)} == set(range(n_operands))


# Registers of a thread: PTX ISA, "Matrix Fragments", "a vector expression containing ... registers"
@pytest.mark.parametrize(
    ("instruction", "in_dtype", "out_dtype", "registers"),
    [
        ("mma.m16n8k16", "f16", "f32", (4, 2, 4)),
        ("mma.m16n8k16", "f16", "f16", (4, 2, 2)),
        ("mma.m16n8k8", "tf32", "f32", (4, 2, 4)),
        ("mma.m16n8k256", "b1", "s32", (4, 2, 4)),
        ("mma.sp.m16n8k32", "f16", "f32", (4, 4, 4)),
        ("mma.sp.m16n8k16", "f16", "f32", (2, 2, 4)),
        ("mma.sp.m16n8k64", "int8", "s32", (4, 4, 4)),
        ("mma.sp.m16n8k128", "int4", "s32", (4, 4, 4)),
        ("wgmma.m64n256k16", "f16", "f32", (4, 16, 128)),
    ],
)
def test_a_thread_holds_as_many_registers_as_the_ptx_isa_says(instruction, in_dtype, out_dtype, registers):
    assert Measured(instruction=instruction, in_dtype=in_dtype, out_dtype=out_dtype).n_registers == registers
