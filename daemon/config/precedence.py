"""Several layers as one: the settings come from pydantic-settings, where each layer is a source of its own.

Its ready-made sources are not used: they tell of no origins, and the one for the environment passes over names that
it does not know, which are mistakes to be reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.config import catalog as keys
from daemon.config.sources import Layer


class _Merged(BaseSettings):
    """The values of all layers, not validated yet, so that everything wrong with them can be reported at once."""

    model_config = SettingsConfigDict(extra="allow")

    def __init__(self, layers: Sequence[Layer]) -> None:
        """``layers``: the strongest last."""
        super().__init__(_build_sources=(tuple(_Source(layer) for layer in reversed(layers)), {}))


class _Source(PydanticBaseSettingsSource):
    """A layer, as pydantic-settings asks for it."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(_Merged)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - not ours
        return self._layer.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._layer.values


def merged(layers: Sequence[Layer]) -> Layer:
    """One layer of all, of which later ones win key by key; lists and single values are replaced."""
    values = _Merged(layers).model_extra or {}
    origins: dict[keys.Path, str] = {}
    for layer in layers:
        origins = {path: origin for path, origin in origins.items() if not layer.replaces(path)} | layer.origins
    return Layer(values, origins, [problem for layer in layers for problem in layer.problems])
