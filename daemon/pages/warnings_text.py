"""The media warnings among the facts of a finished job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ("code", "message", "message_ko")


def warnings_in(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the warnings among a job's facts (see ``engines.media_warnings``); malformed ones are left out."""
    found = facts.get("warnings")
    return [entry for entry in found if _is_warning(entry)] if isinstance(found, list) else []


def _is_warning(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in _KEYS)
