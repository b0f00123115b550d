"""Does every file keep the house's own rules, those that ruff and import-linter cannot see?"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("zeroskip", "workloads", "cyclekit", "eie_sim", "pointacc_sim", "tensorcore_sim")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
TEXTS = [ROOT / name for name in ("Makefile", "README.md", "pyproject.toml")] + sorted((ROOT / "docs").rglob("*.md"))
CUDA = sorted((ROOT / "benchmarks").rglob("*.cu*"))


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", SOURCES + TESTS + BENCHMARKS, ids=ids)
def test_the_first_line_is_a_sentence_on_what_lives_in_the_file(path):
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    assert re.fullmatch(r'"""[A-Z`].*[.?](""")?', first)


@pytest.mark.parametrize("path", SOURCES + TESTS + BENCHMARKS, ids=ids)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize("path", SOURCES + TESTS + BENCHMARKS + TEXTS + CUDA, ids=ids)
def test_no_file_knows_the_machine_that_it_was_written_on(path):
    home = "|".join(("home", "Users", "root", "work", "tmp", "mnt", "var"))
    found = re.findall(rf"(?<![\w.~/])/(?:{home})/[\w.-]+|\b[A-Z]:\\\\\w+", path.read_text(encoding="utf-8"))
    assert not found


def kernels_of(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """Return {name: definition} of the functions decorated @kernel, from whatever place that name was imported."""
    return {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any(_last_name(d) == "kernel" for d in node.decorator_list)
    }


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call):
        node = node.func
    return {ast.Name: lambda: node.id, ast.Attribute: lambda: node.attr}.get(type(node), lambda: None)()


def foreign_calls(sources: dict[str, str]) -> list[str]:
    """Return "module.kernel -> module.kernel" for each kernel that uses one of another module of {module: source}."""
    trees = {module: ast.parse(source) for module, source in sources.items()}
    kernels = {module: kernels_of(tree) for module, tree in trees.items()}
    found = []
    for module, tree in trees.items():
        known = {}  # what a name, dotted as it is written, stands for: a dotted path in the project
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                known |= {alias.asname or alias.name: alias.name for alias in node.names}
        foreign = {
            f"{name}.{kernel}" if path == other else name: f"{other}.{kernel}"
            for name, path in known.items()
            for other, there in kernels.items()
            for kernel in there
            if path in (other, f"{other}.{kernel}")
        }
        for name, definition in kernels[module].items():
            used = {ast.unparse(node) for node in ast.walk(definition) if isinstance(node, ast.Name | ast.Attribute)}
            found += [f"{module}.{name} -> {foreign[word]}" for word in sorted(used & foreign.keys())]
    return found


def test_no_kernel_calls_a_kernel_of_another_file():
    # numba's cache looks at the time stamp of the caller's file only: a change in the other would not be seen
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in SOURCES}
    assert sum(len(kernels_of(ast.parse(source))) for source in sources.values()) > 5
    assert foreign_calls(sources) == []


@pytest.mark.parametrize(
    ("imported", "called"),
    [
        ("from p.a import add", "add(1)"),
        ("from p.a import add as plus", "plus(1)"),
        ("from p import a", "a.add(1)"),
        ("from p import a as b", "b.add(1)"),
        ("import p.a", "p.a.add(1)"),
    ],
)
def test_such_a_call_would_be_found(imported, called):
    a = "from kit.jit import kernel\n@kernel\ndef add(x): return x\ndef plain(x): return x\n"
    b = f"from kit import jit\nfrom p.a import plain\n{imported}\n@jit.kernel\ndef b(x): return {called} + plain(x)\n"
    assert foreign_calls({"p.a": a, "p.b": b}) == ["p.b.b -> p.a.add"]


# A local bears the name of what it holds, not that it was obtained
OBTAINED = {"made", "found", "kept", "asked", "there", "how"}


def obtained(source: str) -> list[str]:
    """Return "function: name" for each local, no parameter, whose name says that it was obtained."""
    names = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            parameters = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
            stored = {
                node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            names += [f"{function.name}: {name}" for name in sorted(OBTAINED & stored - parameters)]
    return names


@pytest.mark.parametrize("path", SOURCES + BENCHMARKS, ids=ids)
def test_a_local_is_called_what_it_holds(path):
    assert obtained(path.read_text(encoding="utf-8")) == []


def test_such_a_local_would_be_found():
    assert obtained("def f(kept):\n    kept = 1\n    for found, x in kept:\n        made = found") == [
        "f: found",
        "f: made",
    ]
