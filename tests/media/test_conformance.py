"""A part of the conformance table, and its document. The whole table: ``python -m tests.conformance``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.job import JobResult
from tests.conformance.document import PATH, document, rows_listed
from tests.conformance.film import Film, Voice
from tests.conformance.judge import troubles
from tests.conformance.row import Row, Verdict, heard_of, judge, run
from tests.conformance.table import ROWS, SECTIONS

BY_NAME = {row.name: row for row in ROWS}
SAMPLE = (
    "container-webm-vp9", "codec-prores-4444", "audio-pcm-s24", "audio-two-tongues", "time-phone-vfr-b",
    "geometry-mirrored-turned", "colour-full-709", "damage-frames-noise", "damage-no-index",
)  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_row(name: str, tmp_path: Path) -> None:
    assert judge(BY_NAME[name], tmp_path / "row").troubles == ()


def test_the_document_lists_exactly_the_rows_that_exist_and_none_is_wrong() -> None:
    """After a change: python -m tests.conformance"""
    text = PATH.read_text()
    assert rows_listed(text) == [row.name for row in ROWS]
    assert f"{len(ROWS)} rows, 0 wrong." in text


def test_names_are_unique_and_rows_many() -> None:
    assert len(BY_NAME) == len(ROWS) >= 120
    assert all(rows for rows in SECTIONS.values())


def test_a_document_tells_what_is_wrong() -> None:
    verdicts = [Verdict(row.name, ("a | b",) if row is ROWS[3] else ()) for row in ROWS]
    text = document(verdicts)
    assert f"{len(ROWS)} rows, 1 wrong." in text
    assert rows_listed(text) == [row.name for row in ROWS]
    assert text.count("| a / b |") == 1


GOOD = Row("good", "a recording", "kept", Film(frames=8, voices=(Voice("pcm_s16le"),), name="a.mov"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    folder = tmp_path_factory.mktemp("good")
    source = GOOD.make(folder)
    return source, run(GOOD, source, folder / "work")


def test_the_judge_is_content_with_what_is(finished: tuple[Path, JobResult]) -> None:
    source, result = finished
    assert list(troubles(result, GOOD.expected(source))) == []


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"numbers": [0, 1, 2, 3, 4, 5, 6, 8]}, "the number is wrong"),
        ({"times_s": [n * 0.05 for n in range(8)]}, "from its time"),
        ({"times_s": [0.0]}, "8 frames instead of 1"),
        ({"warnings": ["AUDIO_GAP"]}, "does not warn of AUDIO_GAP"),
        ({"heard": []}, "1 audio tracks instead of 0"),
        ({"heard": heard_of([Voice(layout="mono")])}, "2 channels instead of 1"),
        ({"heard": [replace(heard_of([Voice()])[0], onset_s=0.3)]}, "from its place"),
        ({"heard": [replace(heard_of([Voice()])[0], length_s=2.0)]}, "instead of 2.000 s"),
        ({"heard": [replace(heard_of([Voice()])[0], tones=(frozenset({310}), frozenset({500})))]}, "500 Hz are"),
        ({"more": {"chapters": 1}}, "0 chapters instead of 1"),
        ({"more": {"metadata": {"title": "x"}}}, "title is None"),
        ({"more": {"matrices": (9,)}}, "tagged with matrix"),
        ({"look": "grey"}, "the colour is wrong"),
    ],
)  # fmt: skip
def test_the_judge_sees_what_is_not_as_it_should_be(
    changes: dict[str, Any], trouble: str, finished: tuple[Path, JobResult]
) -> None:
    source, result = finished
    found = list(troubles(result, replace(GOOD, **changes).expected(source)))
    assert any(trouble in each for each in found), found


def test_what_should_fail_and_does_not_is_wrong(tmp_path: Path) -> None:
    (trouble,) = judge(replace(GOOD, error="NOT_MEDIA"), tmp_path / "row").troubles
    assert trouble == "ends well instead of with NOT_MEDIA"
