"""What designs that differ little need not compute again: each step's last result for an image, by key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from eie_sim.image import Image

# {image: {step: (key, result)}}, for as long as somebody holds the image
_last: WeakKeyDictionary[Image, dict[str, tuple[Any, Any]]] = WeakKeyDictionary()


def reuse(image: Image, step: str, key: Any, compute: Callable[[], Any]) -> Any:
    """Return what `compute` returns, or what it returned the last time if that was for an equal key.

    Others will get it, too: what goes to a user must be a copy.
    """
    of_image = _last.setdefault(image, {})
    last = of_image.get(step)
    if last is None or last[0] != key:
        of_image[step] = last = key, compute()
    return last[1]
