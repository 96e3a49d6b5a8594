"""Names of delivered files: numbered, never too long, never lossy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.share.naming import (
    failed_names,
    first_free,
    name_max_bytes,
    original_name,
    output_names,
    printable,
    short_stem,
    valid_text,
)

raw_names = st.binary(min_size=1, max_size=251).filter(lambda raw: b"/" not in raw and b"\0" not in raw)
file_names = raw_names.map(lambda raw: os.fsdecode(raw) + ".mp4")


def test_names_of_the_contract() -> None:
    assert output_names("interview.mp4", 1) == {
        "video": "interview.dual.mp4",
        "tracks": "interview.dual.tracks.jsonl.gz",
        "preview": "interview.dual.preview.jpg",
        "debug": "interview.dual.debug.mp4",
        "html": "interview.dual.report.html",
        "report": "interview.dual.report.json",
    }
    assert output_names("interview.mp4", 2)["tracks"] == "interview.dual-2.tracks.jsonl.gz"
    assert failed_names("x.mov", 1) == {
        "source": "x.mov",
        "sidecar": "x.dualface.yaml",
        "report": "x.report.json",
    }
    assert failed_names("x.mov", 3) == {
        "source": "x-3.mov",
        "sidecar": "x-3.dualface.yaml",
        "report": "x-3.report.json",
    }
    assert original_name("a.b.mp4", 2) == "a.b-2.mp4"


@given(file_names, st.integers(1, 99_999_999), st.sampled_from([255, 143]))
def test_every_name_fits_into_a_directory_entry(name: str, number: int, name_max: int) -> None:
    assume(len(os.fsencode(name)) <= name_max)
    for names in (output_names(name, number, name_max), failed_names(name, number, name_max)):
        assert len(set(names.values())) == len(names)
        for made in names.values():
            assert 0 < len(os.fsencode(made)) <= name_max
            assert "/" not in made


def test_the_longest_name_comes_from_the_file_system(tmp_path: Path) -> None:
    limit = name_max_bytes(tmp_path)
    (tmp_path / ("x" * limit)).touch()
    with pytest.raises(OSError, match="too long"):
        (tmp_path / ("x" * (limit + 1))).touch()
    assert name_max_bytes(tmp_path / "to come") == 255


@given(file_names)
def test_short_names_keep_their_stem(name: str) -> None:
    assume(not name.startswith("."))  # hidden files are never taken, and to Python "..mp4" has no extension
    stem = name.removesuffix(".mp4")
    assert short_stem(name) == stem or len(os.fsencode(stem)) > 200


def test_long_names_stay_apart_and_are_cut_between_characters() -> None:
    first, second = "한" * 80 + "a.mp4", "한" * 80 + "b.mp4"
    stems = short_stem(first), short_stem(second)
    assert stems[0] != stems[1]
    for stem in stems:
        assert set(stem.partition("~")[0]) == {"한"}


def test_a_number_is_free_only_if_all_names_are(tmp_path: Path) -> None:
    (tmp_path / "x.dual.preview.jpg").write_bytes(b"")
    (tmp_path / "x.dual-2.report.json").symlink_to("dangling")
    assert first_free(tmp_path, lambda number: output_names("x.mp4", number)) == 3


@given(file_names)
def test_printable_names_have_no_control_characters(name: str) -> None:
    valid_text(name).encode()
    assert printable(name).isprintable()
