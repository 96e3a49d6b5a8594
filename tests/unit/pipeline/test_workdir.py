"""Names in a work directory."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from pipeline.job import Deliverables
from pipeline.workdir import ALWAYS_MADE, OUTPUT_SUFFIXES, RESUMABLE, WorkDir

PATHS = WorkDir(Path("job"))


def test_no_two_files_have_the_same_name() -> None:
    paths = [PATHS.checkpoint, PATHS.segments, PATHS.thumbnails, PATHS.joined, *map(PATHS.output, OUTPUT_SUFFIXES)]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {Path("job")}


def test_each_kind_of_output_is_a_deliverable_and_the_report_is_published_last() -> None:
    assert set(OUTPUT_SUFFIXES) == {field.name for field in fields(Deliverables)}
    assert list(OUTPUT_SUFFIXES)[-1] == "report"
    assert set(ALWAYS_MADE) <= set(OUTPUT_SUFFIXES)


def test_a_checkpoint_moves_after_the_files_that_it_names() -> None:
    assert RESUMABLE[-1] == PATHS.checkpoint.name
