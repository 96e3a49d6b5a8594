"""What a finished job lacks of its recording, as its worker has told it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ("code", "message", "message_ko")


def warnings_in(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The warnings among a job's facts (see ``engines.media_warnings``); what has not their form is left out."""
    found = facts.get("warnings")
    return [entry for entry in found if _is_warning(entry)] if isinstance(found, list) else []


def _is_warning(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in _KEYS)
