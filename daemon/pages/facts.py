"""Short statements for people about a finished job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from markupsafe import Markup

from daemon.pages.html import visible
from daemon.pages.i18n import Duration, Translator, clock
from daemon.pages.warnings_text import warnings_in

_MIN_DEGRADED_S = 1.0  # less of it is not mentioned
_LONGEST_S = 1e7  # of a video


def warnings(facts: Mapping[str, Any], t: Translator) -> list[Markup]:
    """Return the media warnings as sentences in the page's languages."""
    return [t.bilingual(visible(entry["message"]), visible(entry["message_ko"])) for entry in warnings_in(facts)]


def statements(facts: Mapping[str, Any], verdict: str, t: Translator) -> Iterator[tuple[str, Markup]]:
    """Yield statements with their tone ("" or "warn"); without facts, the verdict itself."""
    if not facts:
        yield "", Markup.escape(verdict)
        return
    people = min(2, facts.get("people") or 0)
    yield "" if people == 2 else "warn", t(f"fact.people_{people}")
    if facts.get("layout") == "single":
        yield "", t("fact.single")
    if spans := _places_to_check(facts):
        yield "warn", t("fact.check", spans=", ".join(spans))
    if facts.get("duration_s"):
        yield "", t("fact.duration", time=clock(facts["duration_s"]))
    if facts.get("realtime"):
        yield "", t("fact.realtime", times=round(facts["realtime"], 1))
    for name in ("repaired_swaps", "resumed", "pauses"):
        if facts.get(name):
            yield "", t(f"fact.{name}", count=facts[name])
    if not warnings_in(facts):  # which are more precise
        yield from _damage(facts, t)
    if facts.get("degraded_s", 0) >= _MIN_DEGRADED_S:
        yield "warn", t("fact.degraded_s", time=Duration(facts["degraded_s"]))
    yield from _audio_and_device(facts, t)


def _places_to_check(facts: Mapping[str, Any]) -> list[str]:
    """Return the spans in which people should check who is who; malformed ones are left out."""
    found = facts.get("check")
    places = [place for place in found if isinstance(place, dict)] if isinstance(found, list) else []
    spans = [(place.get("from_s"), place.get("to_s")) for place in places]
    return [f"{clock(a)} - {clock(b)}" for a, b in spans if _is_time(a) and _is_time(b)]


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and 0 <= value < _LONGEST_S


def _damage(facts: Mapping[str, Any], t: Translator) -> Iterator[tuple[str, Markup]]:
    """Yield the damage of a job from a version without media warnings."""
    if facts.get("replaced_frames"):
        yield "warn", t("fact.replaced_frames", count=facts["replaced_frames"])
    if facts.get("truncated"):
        yield "warn", t("fact.truncated")
    if facts.get("sound_damaged"):
        yield "warn", t("fact.sound_damaged")


def _audio_and_device(facts: Mapping[str, Any], t: Translator) -> Iterator[tuple[str, Markup]]:
    """Yield what happened to the audio, and whether the CPU had to replace the GPU."""
    if facts.get("sound") in ("transcoded", "none", "lost"):
        yield "warn" if facts["sound"] == "lost" else "", t(f"fact.sound_{facts['sound']}")
    if facts.get("cpu_fallback"):
        yield "", t("fact.cpu_fallback")
