"""Statements for people about a finished job."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.pages.facts import statements
from daemon.pages.i18n import Translator


def english(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [(tone, str(text)) for tone, text in statements({"people": 2} | facts, "", Translator(("en",)))]


def test_people_are_asked_to_check_places_of_doubt() -> None:
    places = [{"from_s": 12.2, "to_s": 19.0, "confidence": 0.4}, {"from_s": 61, "to_s": 62, "confidence": 0.5}]
    assert ("warn", "Please check who is who at 0:12 - 0:19, 1:01 - 1:02") in english({"check": places})


def test_a_video_without_tiles_is_named_as_such() -> None:
    alone = english({"people": 1, "layout": "single"})
    assert ("warn", "Only one person was found") in alone
    assert ("", "shown full frame, not in two halves") in alone
    assert not any("full frame" in text for _, text in english({"people": 2, "layout": "split"}))


@pytest.mark.parametrize("check", [None, [], "x", [1], [{}], [{"from_s": "0", "to_s": 1}], [{"from_s": -1, "to_s": 1}]])
def test_malformed_places_are_left_out(check: Any) -> None:
    assert not any(tone == "warn" for tone, _ in english({"check": check}))
