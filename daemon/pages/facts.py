"""How a finished job went, in short statements for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from daemon.pages.html import seen
from daemon.pages.i18n import Span, Speaker, clock
from daemon.pages.warnings_text import warnings_in

_WORTH_TELLING_S = 1.0  # of reduced quality


def warned(facts: Mapping[str, Any], t: Speaker) -> list[Markup]:
    """What the result lacks, in sentences of the page's languages."""
    return [t.both(seen(entry["message"]), seen(entry["message_ko"])) for entry in warnings_in(facts)]


def told(facts: Mapping[str, Any], verdict: str, t: Speaker) -> Iterator[tuple[str, Markup]]:
    """Statements with their tone ("" or "warn"); the verdict itself where there are no facts."""
    if not facts:
        yield "", Markup.escape(verdict)
        return
    people = min(2, facts.get("people") or 0)
    yield "" if people == 2 else "warn", t(f"fact.people_{people}")
    if facts.get("duration_s"):
        yield "", t("fact.duration", time=clock(facts["duration_s"]))
    if facts.get("realtime"):
        yield "", t("fact.realtime", times=round(facts["realtime"], 1))
    for name in ("repaired_swaps", "resumed", "pauses"):
        if facts.get(name):
            yield "", t(f"fact.{name}", count=facts[name])
    if not warnings_in(facts):  # which say it more precisely
        yield from _damage(facts, t)
    if facts.get("degraded_s", 0) >= _WORTH_TELLING_S:
        yield "warn", t("fact.degraded_s", time=Span(facts["degraded_s"]))
    yield from _besides(facts, t)


def _damage(facts: Mapping[str, Any], t: Speaker) -> Iterator[tuple[str, Markup]]:
    """What is damaged, of a job of a version that knew no warnings."""
    if facts.get("replaced_frames"):
        yield "warn", t("fact.replaced_frames", count=facts["replaced_frames"])
    if facts.get("truncated"):
        yield "warn", t("fact.truncated")
    if facts.get("sound_damaged"):
        yield "warn", t("fact.sound_damaged")


def _besides(facts: Mapping[str, Any], t: Speaker) -> Iterator[tuple[str, Markup]]:
    """What became of the audio, and whether the GPU was not up to it."""
    if facts.get("sound") in ("transcoded", "none", "lost"):
        yield "warn" if facts["sound"] == "lost" else "", t(f"fact.sound_{facts['sound']}")
    if facts.get("cpu_fallback"):
        yield "", t("fact.cpu_fallback")
