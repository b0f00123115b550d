"""Draws docs/house.svg, the packages with their wings on floors, from the imports: `python docs/draw_house.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "house.svg"
BANDS = (
    ("zeroskip",),
    ("eie_sim", "pointacc_sim", "tensorcore_sim"),
    ("cyclekit",),
    ("workloads",),
)  # who stands above may import who stands below
WIDTH, MARGIN, GAP, ROOM, LINE = 1180, 16, 10, 26, 13  # pixels; ROOM: the height of a room, LINE: of a line of text
LETTER = 6.2  # pixels that a letter takes, about
STYLE = """text{font:11px sans-serif;fill:#1b2a3a}.name{font-weight:bold}.house{font:bold 14px sans-serif}
.band{fill:#f3f6f9;stroke:#8aa0b4}.wing{fill:#fff;stroke:#2d6ca2}.room{fill:#fff;stroke:#b7c4d0}
.import{stroke:#2d6ca2;stroke-width:1.5;fill:none;marker-end:url(#to)}"""


def house(package: str) -> dict[str, list[str]]:
    """Return {room or wing at the top of a package: the wing's rooms, none for a room}."""
    parts = {}
    for path in sorted((ROOT / package).iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            parts[path.name] = sorted(file.stem for file in path.glob("*.py") if file.stem != "__init__")
        elif path.suffix == ".py" and path.stem != "__init__":
            parts[path.stem] = []
    return parts


def imports(package: str) -> Iterator[tuple[str, str]]:
    """Yield (part of the package, dotted name that it imports), late imports too."""
    for path in sorted((ROOT / package).rglob("*.py")):
        part = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from ((part, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((part, alias.name) for alias in node.names)


def arrows(package: str) -> dict[str, set[str]]:
    """Return {part: the parts of the same package that it imports}."""
    parts: dict[str, set[str]] = {part: set() for part in house(package)}
    for part, name in imports(package):
        into, *rest = name.split(".")
        if into == package and rest and part in parts and rest[0] in parts and rest[0] != part:
            parts[part].add(rest[0])
    return parts


def floors(package: str) -> list[list[str]]:
    """Return the parts of a package floor by floor, the lowest first: each stands just above all that it imports."""
    below = arrows(package)
    level: dict[str, int] = {}

    def floor(part: str, above: tuple[str, ...] = ()) -> int:
        if part in above:
            raise ValueError(f"{package} imports in a circle: {' -> '.join((*above, part))}")
        if part not in level:
            level[part] = 1 + max((floor(under, (*above, part)) for under in below[part]), default=-1)
        return level[part]

    for part in below:
        floor(part)
    return [sorted(part for part in level if level[part] == at) for at in range(max(level.values()) + 1)]


def _lines(rooms: Sequence[str], width: float) -> list[str]:
    """Return the rooms' names, wrapped to a width in pixels."""
    lines = [""]
    for room in rooms:
        longer = f"{lines[-1]} {room}".strip()
        if len(longer) * LETTER <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(room)
    return lines if rooms else []


def _draw_package(package: str, left: float, top: float, width: float) -> tuple[list[str], float]:
    """Return the SVG of a package and its height."""
    parts, drawn, y = house(package), [], top + 30
    for names in reversed(floors(package)):
        # A wing takes three times the width of a room, and rooms share what is left.
        weights = [3 if parts[name] else 1 for name in names]
        unit = (width - 2 * GAP - GAP * (len(names) - 1)) / max(sum(weights), 4)
        texts = [_lines(parts[name], weight * unit - 12) for name, weight in zip(names, weights, strict=True)]
        height = ROOM + LINE * max(map(len, texts))
        x = left + GAP
        for name, weight, lines in zip(names, weights, texts, strict=True):
            kind = "wing" if parts[name] else "room"
            drawn.append(
                f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{weight * unit:.0f}" height="{height}"/>'
            )
            rows = [(f"{name}/" if parts[name] else name, "name"), *((line, "rooms") for line in lines)]
            drawn += [
                f'<text class="{style}" x="{x + 6:.0f}" y="{y + 17 + LINE * row:.0f}">{escape(text)}</text>'
                for row, (text, style) in enumerate(rows)
            ]
            x += weight * unit + GAP
        y += height + GAP
    frame = f'<rect class="band" x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{y - top:.0f}"/>'
    title = f'<text class="house" x="{left + GAP:.0f}" y="{top + 20:.0f}">{package}</text>'
    return [frame, title, *drawn], y - top


def _imported(package: str) -> set[str]:
    """Return the other packages that a package imports."""
    return {name.split(".")[0] for _, name in imports(package)} - {package}


def picture() -> str:
    """Return the SVG: a band for each storey of packages, in each package its floors; imports run downward only."""
    drawn, top = [], MARGIN
    for place, band in enumerate(BANDS):
        width = (WIDTH - 2 * MARGIN - GAP * (len(band) - 1)) / len(band)
        heights = []
        for number, package in enumerate(band):
            left = MARGIN + number * (width + GAP)
            shapes, height = _draw_package(package, left, top, width)
            drawn += shapes
            heights.append(height)
        bottom = top + max(heights)
        below = [package for later in BANDS[place + 1 :] for package in later]
        for number, package in enumerate(band):
            middle = MARGIN + number * (width + GAP) + width / 2
            words = " and ".join(other for other in below if other in _imported(package))
            if words:
                start = top + heights[number]
                drawn.append(f'<path class="import" d="M{middle:.0f} {start:.0f}V{bottom + 34:.0f}"/>')
                drawn.append(f'<text x="{middle + 8:.0f}" y="{bottom + 22:.0f}">imports {words}</text>')
        top = bottom + 40
    height = top - 40 + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img">'
    arrow = '<defs><marker id="to" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto">'
    arrow += '<path d="M0 0L8 4L0 8z" fill="#2d6ca2"/></marker></defs>'
    title = "<title>The house: packages, their wings and rooms on floors, drawn from the imports</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", arrow, *drawn, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
