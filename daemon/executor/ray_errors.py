"""Errors of Ray in words."""

from __future__ import annotations

_LONGEST_REASON = 120


def reason_of(error: BaseException) -> str:
    """Return the first sentence of an error of Ray, whose texts are long."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0][:_LONGEST_REASON] if lines else type(error).__name__
