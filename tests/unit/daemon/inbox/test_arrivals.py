"""Copies that stall: recognised by their bytes, shown with a reason while they wait, and taken in the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.inbox.arrivals import Arrivals, unfinished
from daemon.inbox.scanner import Found
from daemon.inbox.stability import Signature

PATIENCE_S = 100.0


def box(kind: bytes, size: int) -> bytes:
    return size.to_bytes(4, "big") + kind + b"\x11" * (size - 8)


WHOLE = box(b"ftyp", 24) + box(b"mdat", 300_000) + box(b"moov", 4000)


def preallocated(path: Path) -> None:
    path.write_bytes(WHOLE[:200_000])
    os.truncate(path, len(WHOLE))


def with_holes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(WHOLE[:40_000])
        file.seek(280_000)
        file.write(WHOLE[280_000:])


CASES = {
    "holes": (with_holes, "COPY_STALLED"),
    "sparse end": (preallocated, "COPY_STALLED"),
    "zeros at the end": (lambda path: path.write_bytes(WHOLE[:200_000] + bytes(104_024)), "COPY_STALLED"),
    "all zeros": (lambda path: path.write_bytes(bytes(10_000)), "COPY_STALLED"),
    "cut off": (lambda path: path.write_bytes(WHOLE[:200_000]), "COPY_STALLED"),
    "no index": (lambda path: path.write_bytes(box(b"ftyp", 24) + box(b"mdat", 9000)), "INDEX_MISSING"),
    "cut off AVI": (lambda path: path.write_bytes(b"RIFF\x28\x23\x00\x00" + b"\x11" * 500), "COPY_STALLED"),
    "download": (
        lambda path: (path.write_bytes(WHOLE), path.with_name("x.mp4.aria2").write_bytes(b"x")),
        "DOWNLOAD_RUNS",
    ),
    "export": (
        lambda path: (path.write_bytes(WHOLE), path.with_name("x.mp4.sb-0896450c-7gWuo2").write_bytes(b"x")),
        "DOWNLOAD_RUNS",
    ),
    "empty download": (
        lambda path: (path.write_bytes(b""), path.with_name("x.mp4.part").write_bytes(b"x")),
        "DOWNLOAD_RUNS",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_whole_is_named(case: str, tmp_path: Path) -> None:
    make, code = CASES[case]
    make(tmp_path / "x.mp4")
    why = unfinished(tmp_path, "x.mp4")
    assert why is not None
    assert why.code == code


@pytest.mark.parametrize(
    "content",
    [
        WHOLE,
        box(b"ftyp", 24) + box(b"moov", 4000) + box(b"mdat", 300_000),
        box(b"styp", 24) + box(b"moof", 400) + box(b"mdat", 3000),
        b"\x1aE\xdf\xa3" + b"\x11" * 5000,
        b"no recording at all",
        b"",
        WHOLE[:-4000] + box(b"free", 4000)[:8] + bytes(3992) + box(b"moov", 4000),
    ],
)
def test_what_is_whole_or_no_known_format_is_not(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    assert unfinished(tmp_path, "x.mp4") is None


def test_a_file_that_goes_or_is_swapped_is_left_to_who_takes_it(tmp_path: Path) -> None:
    assert unfinished(tmp_path, "gone.mp4") is None
    (tmp_path / "x.mp4").symlink_to("/etc/passwd")
    assert unfinished(tmp_path, "x.mp4") is None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def found(folder: Path) -> Found:
    return Found("x.mp4", Signature.of((folder / "x.mp4").lstat()))


def test_it_waits_with_a_reason_and_is_taken_in_the_end(tmp_path: Path) -> None:
    clock = Clock()
    arrivals = Arrivals(tmp_path, PATIENCE_S, clock)
    preallocated(tmp_path / "x.mp4")
    assert not arrivals.admit(found(tmp_path))
    clock.now = PATIENCE_S - 1
    assert arrivals.holds(found(tmp_path))
    (wait,) = arrivals.reasons.values()
    assert wait.why.code == "COPY_STALLED"
    assert wait.since
    clock.now = PATIENCE_S
    assert not arrivals.holds(found(tmp_path))
    assert arrivals.admit(found(tmp_path))


def test_a_change_begins_the_wait_anew_and_the_rest_of_the_copy_ends_it(tmp_path: Path) -> None:
    clock = Clock()
    arrivals = Arrivals(tmp_path, PATIENCE_S, clock)
    preallocated(tmp_path / "x.mp4")
    assert not arrivals.admit(found(tmp_path))
    clock.now = PATIENCE_S
    os.utime(tmp_path / "x.mp4")
    assert arrivals.holds(found(tmp_path))
    (tmp_path / "x.mp4").write_bytes(WHOLE)
    assert not arrivals.holds(found(tmp_path))
    assert arrivals.reasons == {}
