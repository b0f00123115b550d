"""Write each tutorial as a notebook: its text as it is, its Python and shell blocks as cells, without outputs.

`python docs/notebooks.py` writes docs/tutorials/*.ipynb from docs/tutorials/*.md.
"""

import json
import re
from pathlib import Path

TUTORIALS = Path(__file__).parent / "tutorials"
RUN = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def notebook(text):
    """Return the notebook of a page: a cell of text, one of code, and so on; shell blocks by IPython's %%sh."""
    cells, end = [], 0
    for match in RUN.finditer(text):
        cells.append(_text(text[end : match.start()]))
        code = match[2] if match[1] == "python" else f"%%sh\n{match[2]}"
        cells.append(
            {"cell_type": "code", "metadata": {}, "source": _lines(code), "execution_count": None, "outputs": []}
        )
        end = match.end()
    cells = [cell for cell in (*cells, _text(text[end:])) if cell["source"]]
    for place, cell in enumerate(cells):
        cell["id"] = f"cell-{place}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def written(text):
    """Return the text of the notebook's file."""
    return json.dumps(notebook(text), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _text(text):
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(text)}


def _lines(text):
    return text.strip("\n").splitlines(keepends=True)


if __name__ == "__main__":
    for page in sorted(TUTORIALS.glob("*.md")):
        page.with_suffix(".ipynb").write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
