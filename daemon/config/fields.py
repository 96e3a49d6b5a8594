"""How a setting is described."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def number(description: str, unit: str, **bounds: Any) -> Any:
    """Return a field with a description, a unit and a range."""
    return Field(description=description, json_schema_extra={"unit": unit}, **bounds)
