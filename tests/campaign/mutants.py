"""The small faults that a file could have: each an operator, a number, a condition or a statement changed.

Left alone: messages (raise, f-strings), annotations, decorators and zip's strict, none of which a result rests on, and
reshape's -1, for which numpy takes any negative number.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

SWAPPED = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
RENAMED = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}
RENAMED |= {"ceil": "floor", "floor": "ceil"}


@dataclass(frozen=True)
class Mutant:
    """One fault. function: the one it is in, dotted; was, is_: the lines it touches, before and after."""

    file: str
    line: int
    function: str
    in_function: bool  # and not run at import
    was: str
    is_: str
    source: bytes

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What equivalent.toml names it by: no line numbers, which move."""
        return self.file, self.function, self.was, self.is_

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}\n    {self.was}\n    {self.is_}"


def mutants(file: str, source: bytes) -> list[Mutant]:
    """Return all mutants of a file, in the order of their places."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + column

    listed = []
    edits = sorted(_edits(ast.parse(source), source, offset), key=lambda edit: edit[2:])
    for function, in_function, begin, end, text in edits:
        first = source.rfind(b"\n", 0, begin) + 1
        last = source.find(b"\n", end)
        mutated = source[:begin] + text + source[end:]
        was, is_ = (
            " ".join(part.decode().split())
            for part in (source[first:last], source[first:begin] + text + source[end:last])
        )
        listed.append(Mutant(file, source.count(b"\n", 0, begin) + 1, function, in_function, was, is_, mutated))
    return listed


def _edits(tree: ast.Module, source: bytes, offset) -> Iterator[tuple[str, bool, int, int, bytes]]:
    """Give (function, whether it is in one, first byte, byte behind the last, what stands there instead)."""

    def span(node) -> tuple[int, int]:
        return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)

    def between(left, operator, right):
        """Swap the operator between two nodes."""
        if type(operator) in SWAPPED:
            old, new = (text.encode() for text in SWAPPED[type(operator)])
            begin = source.index(old, span(left)[1], span(right)[0])
            yield begin, begin + len(old), new

    def of_node(node):
        begin, end = span(node) if hasattr(node, "lineno") else (0, 0)
        match node:
            case ast.Compare():
                for left, operator, right in zip(
                    [node.left, *node.comparators], node.ops, node.comparators, strict=False
                ):
                    yield from between(left, operator, right)
            case ast.BinOp():
                yield from between(node.left, node.op, node.right)
            case ast.BoolOp():
                for left, right in zip(node.values, node.values[1:]):
                    yield from between(left, node.op, right)
            case ast.UnaryOp(op=ast.Not()):
                yield begin, begin + len(b"not "), b""
            case ast.UnaryOp(op=ast.USub()) if not isinstance(node.operand, ast.Constant):
                yield begin, begin + 1, b""
            case ast.Constant(value=bool()):
                yield begin, end, str(not node.value).encode()
            case ast.Constant(value=int() | float()):
                yield begin, end, str(node.value + 1).encode()
            case ast.Name(id=name, ctx=ast.Load()) if name in RENAMED:
                yield begin, end, RENAMED[name].encode()
            case ast.Attribute(attr=name) if name in RENAMED:
                yield end - len(name), end, RENAMED[name].encode()
            case ast.AugAssign():
                yield from between(node.target, node.op, node.value)
                yield begin, end, b"pass"
            case ast.Expr(value=ast.Call() | ast.YieldFrom() | ast.Yield()):
                yield begin, end, b"pass"
            case ast.Continue():
                yield begin, end, b"break"
            case ast.Break():
                yield begin, end, b"continue"
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare):
                if not isinstance(test, ast.UnaryOp | ast.Constant):
                    first, last = span(test)
                    yield first, last, b"not (" + source[first:last] + b")"

    found_out = set()  # the sides of a reshape that numpy finds out

    def walk(node, function, in_function):
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
            return
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reshape":
            found_out.update(arg for arg in node.args if ast.unparse(arg) == "-1")
        if node in found_out:
            return
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}" if function else node.name
        for edit in of_node(node):
            yield function, in_function, *edit
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    inside = in_function or (isinstance(node, ast.FunctionDef) and name == "body")
                    yield from walk(child, function, inside)

    yield from walk(tree, "", False)
