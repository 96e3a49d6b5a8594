"""Places of a finished video at which a person should check who is who."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.media_warnings import span_words

MOST_PLACES = 5  # that people are asked to look at
_GAP_S = 2.0  # spans of doubt nearer than this are one place


def places_to_check(doubts: Sequence[dict[str, Any]], most: int = MOST_PLACES) -> list[dict[str, float]]:
    """Join spans of doubt to places, and return the most doubtful ones in the order of time.

    Args:
        doubts: of the report's section ``identity``: ``from_s``, ``to_s`` and ``confidence``, for either person.
        most: the number of places to return at most.

    Returns:
        Places with ``from_s``, ``to_s`` (seconds) and the lowest ``confidence`` in them.
    """
    places: list[dict[str, float]] = []
    for doubt in sorted(doubts, key=lambda doubt: float(doubt["from_s"])):
        if places and doubt["from_s"] <= places[-1]["to_s"] + _GAP_S:
            places[-1]["to_s"] = max(places[-1]["to_s"], doubt["to_s"])
            places[-1]["confidence"] = min(places[-1]["confidence"], doubt["confidence"])
        else:
            places.append({key: float(doubt[key]) for key in ("from_s", "to_s", "confidence")})
    chosen = sorted(places, key=lambda place: place["confidence"])[:most]
    return sorted(chosen, key=lambda place: place["from_s"])


def request_to_check(places: Sequence[dict[str, float]]) -> str:
    """Return the sentence that asks people to look at these places."""
    spans = ",".join(span_words(place["from_s"], place["to_s"])[0] for place in places)
    return f"Please check who is who{spans}."
