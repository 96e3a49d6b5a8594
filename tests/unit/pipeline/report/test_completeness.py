"""Which differences between a recording and its result give a warning, and which are within the limits."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

import pytest

from engines.audio.outcome import AudioOutcome, AudioStreamOutcome
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import Prescan
from engines.containers.survey import StreamSurvey
from engines.media.verify import FinishedFile
from engines.media_warnings import WORDS, media_warning
from pipeline.report.completeness import warnings_of
from pipeline.segments.assemble import Assembled
from pipeline.segments.checkpoint import Counters

NO_PRESCAN = Prescan({}, (), (), AudioPolicy())


def survey(first_s: float = 0.0, end_s: float = 10.0, packets: int = 100, **more: Any) -> StreamSurvey:
    return StreamSurvey(0.0, packets, first_s, end_s, **more) if packets else StreamSurvey()


def found_warnings(
    *,
    frame: StreamSurvey | None = None,
    read: StreamSurvey | None = None,
    written: StreamSurvey | None = None,
    mode: Any = "copied",
    refused: int = 0,
    truncated: bool = False,
    declared_s: float | None = 10.0,
    audio_declared_s: float | None = 10.0,
    container: str = "",
    first_pts: int = 0,
    lost: tuple[tuple[int, int], ...] = (),
) -> list[tuple[str, float | None, float | None]]:
    """Codes and spans for a recording of 10 s whose video and audio are whole but for what is given."""
    outcome = AudioOutcome((AudioStreamOutcome(1, "aac", mode, "aac", 100),), refused, {1: read or survey()})
    finished = FinishedFile(frame or survey(), (written or survey(),), ())
    info: Any = SimpleNamespace(
        warnings=(),
        container=container,
        duration_s=declared_s,
        video=SimpleNamespace(duration_s=None if container else declared_s, time_base=0.001),
        audio=[SimpleNamespace(index=1, duration_s=audio_declared_s)],
    )
    checkpoint: Any = SimpleNamespace(
        counters=Counters(truncated=truncated),
        segments=[SimpleNamespace(first_pts=first_pts, lost=[list(each) for each in lost])],
    )
    found = warnings_of(info, checkpoint, Assembled(Path(), Path(), NO_PRESCAN, outcome, 10.0, finished))
    return [(w.code, w.from_s, w.to_s) for w in found]


def test_nothing_is_told_of_a_whole_result() -> None:
    assert found_warnings() == []


def test_small_differences_are_within_the_limits() -> None:
    edges = survey(0.4, 9.3)
    assert found_warnings(read=edges, written=edges, audio_declared_s=9.5) == []
    assert found_warnings(frame=survey(0.0, 9.4)) == []
    assert found_warnings(written=survey(0.1, 9.9)) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"mode": "dropped"}, ("AUDIO_STREAM_DROPPED", None, None)),
        ({"written": survey(packets=0)}, ("AUDIO_STREAM_EMPTY", None, None)),
        ({"written": survey(0, 7)}, ("AUDIO_INCOMPLETE", 7, 10)),
        ({"written": survey(2, 10)}, ("AUDIO_INCOMPLETE", 0, 2)),
        ({"read": survey(lost=[(3.0, 4.0)])}, ("AUDIO_DAMAGED", 3, 4)),
        ({"read": survey(gaps=[(3.0, 5.0)])}, ("AUDIO_GAP", 3, 5)),
        ({"refused": 3}, ("AUDIO_REFUSED", None, None)),
        ({"read": survey(2, 10), "written": survey(2, 10), "audio_declared_s": 8.0}, ("AUDIO_STARTS_LATE", 0, 2)),
        ({"read": survey(0, 8), "written": survey(0, 8), "audio_declared_s": 8.0}, ("AUDIO_ENDS_EARLY", 8, 10)),
        ({"frame": survey(2, 10), "declared_s": 8.0}, ("VIDEO_STARTS_LATE", 0, 2)),
        ({"frame": survey(0, 8), "declared_s": 8.0}, ("VIDEO_ENDS_EARLY", 8, 10)),
        ({"declared_s": 12.0}, ("VIDEO_SHORTER_THAN_DECLARED", 10, 12)),
        ({"container": "flv", "declared_s": 12.0}, ("VIDEO_SHORTER_THAN_DECLARED", 10, 12)),
        ({"audio_declared_s": 12.0}, ("AUDIO_SHORTER_THAN_DECLARED", 10, 12)),
        ({"truncated": True, "declared_s": 12.0, "audio_declared_s": 12.0}, ("SOURCE_TRUNCATED", 10, 12)),
        ({"truncated": True, "declared_s": None}, ("SOURCE_TRUNCATED", None, None)),
        ({"lost": ((1000, 1100), (1200, 1300))}, ("VIDEO_DAMAGED", 1.0, 1.3)),
    ],
)
def test_each_difference_is_told_with_its_span(given: Any, expected: tuple[str, float, float]) -> None:
    assert found_warnings(**given) == [expected]


def test_a_length_for_all_streams_is_kept_by_the_longest_and_a_guessed_one_by_none() -> None:
    assert found_warnings(container="flv", declared_s=12.0, frame=survey(0, 11.5), audio_declared_s=None) == [
        ("AUDIO_ENDS_EARLY", 10, 11.5)
    ]
    assert found_warnings(container="mpegts", declared_s=12.0) == []
    assert found_warnings(container="matroska,webm", declared_s=12.0, first_pts=2000) == []


def test_audio_that_damage_has_taken_is_told_once() -> None:
    assert found_warnings(read=survey(lost=[(7.0, 10.0)]), written=survey(0, 7)) == [("AUDIO_DAMAGED", 7, 10)]


@pytest.mark.parametrize("code", WORDS)
def test_all_words_can_be_filled_in_both_languages(code: str) -> None:
    english, korean = WORDS[code]
    names = {name for _, name, _, _ in Formatter().parse(english + korean) if name} - {"stream", "span"}
    for span in ({"from_s": 1.0, "to_s": 75.0}, {}):
        warning = media_warning(code, stream=3, **span, **dict.fromkeys(names, "9"))
        assert warning.message.endswith(".")
        assert warning.message_ko.endswith(".")
        assert "  " not in warning.message + warning.message_ko
    assert ("{span}" in english) == ("{span}" in korean)


@pytest.mark.parametrize(
    ("from_s", "to_s", "words"),
    [
        (12.4, 19.0, "from 0:12.4 to 0:19.0"), (12.4, 80.0, "from 0:12 to 1:20"), (5.01, 5.02, "at 0:05.0"),
        (3599.96, 3600.2, "from 1:00:00.0 to 1:00:00.2"), (-0.2, 3.0, "from 0:00.0 to 0:03.0"),
    ],
)  # fmt: skip
def test_spans_are_told_as_finely_as_they_are_long(from_s: float, to_s: float, words: str) -> None:
    message = media_warning("VIDEO_DAMAGED", from_s=from_s, to_s=to_s).message
    assert f" {words}:" in message
