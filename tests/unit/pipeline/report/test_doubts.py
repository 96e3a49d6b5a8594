"""Places that people are asked to check."""

from __future__ import annotations

from typing import Any

from pipeline.report.doubts import places_to_check


def doubt(from_s: float, to_s: float, confidence: float, person: int = 1) -> dict[str, Any]:
    return {"from_s": from_s, "to_s": to_s, "confidence": confidence, "person": person, "reason": "cut"}


def test_near_spans_of_both_people_are_one_place() -> None:
    found = places_to_check([doubt(12, 14, 0.8), doubt(15.5, 19, 0.6, person=2), doubt(13, 13.5, 0.7)])
    assert found == [{"from_s": 12, "to_s": 19, "confidence": 0.6}]


def test_the_most_doubtful_places_come_in_the_order_of_time() -> None:
    found = places_to_check([doubt(10 * n, 10 * n + 1, 0.9 - n / 10) for n in range(6)], most=2)
    assert [place["from_s"] for place in found] == [40, 50]


def test_without_doubts_there_is_nothing_to_check() -> None:
    assert places_to_check([]) == []
