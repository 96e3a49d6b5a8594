"""Several layers of the configuration as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from daemon.config import catalog
from daemon.config.sources import Layer
from daemon.nested import merged


def combined(layers: Sequence[Layer]) -> Layer:
    """Return one layer of all; later ones win key by key, and lists and single values are replaced as wholes.

    Args:
        layers: the strongest last.
    """
    nothing: dict[str, Any] = {}
    origins: dict[catalog.Path, str] = {}
    for layer in layers:
        origins = {path: origin for path, origin in origins.items() if not layer.replaces(path)} | layer.origins
    return Layer(
        reduce(merged, (layer.values for layer in layers), nothing),
        origins,
        [problem for layer in layers for problem in layer.problems],
    )
