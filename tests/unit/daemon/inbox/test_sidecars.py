"""Which sidecar belongs to which recording: exact names first, names that nearly are one too, never in silence."""

from __future__ import annotations

import unicodedata

import pytest

from daemon.inbox.scanner import Found
from daemon.inbox.sidecar_names import beside, is_sidecar
from daemon.inbox.sidecars import Sidecars
from daemon.inbox.stability import Signature

SIGNATURE = Signature(1, 2, 3)
KOREAN = "인터뷰"
DECOMPOSED = unicodedata.normalize("NFD", KOREAN)


def index_of(recordings: list[str], sidecars: list[str]) -> Sidecars:
    index = Sidecars()
    for name in sidecars:
        index.see(Found(name, SIGNATURE, is_sidecar=True), settled=True)
    for name in recordings:
        index.see_recording(name)
    return index


@pytest.mark.parametrize(
    "sidecar",
    [
        "x.dualface.yaml",
        "x.dualface.yml",
        "x.dualface.yaml.txt",
        "x.DualFace.YAML",
        "X.dualface.yaml",
        "x.mp4.dualface.yaml",
        "x.dualface.rtf",
        "x.dualface.yaml.rtf",
        "x.dualface",
    ],
)
@pytest.mark.parametrize("folder", ["", "a/b/"])
def test_a_name_that_nearly_is_one_is_one(sidecar: str, folder: str) -> None:
    index = index_of([f"{folder}x.mp4", "c/x.mp4"], [folder + sidecar])
    found = index.settled(f"{folder}x.mp4")
    assert found is not None
    assert found.relative == folder + sidecar
    assert index.settled("c/x.mp4") is None
    assert beside("x.mp4", ["x.mp4", "y.mp4", sidecar]) == [sidecar]


@pytest.mark.parametrize("name", ["x.yaml", "dualface.yaml", ".dualface.yaml", "xdualface.yaml", "x.dualfaced.yaml"])
def test_other_names_are_none(name: str) -> None:
    assert not is_sidecar(name)


def test_unicode_forms_are_the_same_name_unless_both_are_there() -> None:
    sidecar = f"{DECOMPOSED}.dualface.yaml"
    index = index_of([f"{KOREAN}.mp4"], [sidecar])
    assert index.of(f"{KOREAN}.mp4") == [sidecar]
    index.see_recording(f"{DECOMPOSED}.mp4")
    assert index.of(f"{KOREAN}.mp4") == []
    assert index.of(f"{DECOMPOSED}.mp4") == [sidecar]
    assert beside(f"{KOREAN}.mp4", [f"{KOREAN}.mp4", f"{DECOMPOSED}.mp4", sidecar]) == []


def test_two_recordings_that_differ_in_case_have_their_own() -> None:
    index = index_of(["X.mp4", "x.mp4"], ["x.dualface.yaml"])
    assert (index.of("X.mp4"), index.of("x.mp4")) == ([], ["x.dualface.yaml"])


@pytest.mark.parametrize("second", ["x.dualface.yml", "x.mp4.dualface.yaml"])
def test_a_recording_with_several_waits_until_one_is_left(second: str) -> None:
    index = index_of(["x.mp4", "y.mp4"], ["x.dualface.yaml", second])
    assert index.must_wait("x.mp4")
    assert not index.must_wait("y.mp4")
    ((recording, why),) = index.unclear().items()
    assert recording == "x.mp4"
    assert "x.dualface.yaml" in why.message
    assert second in why.message
    index.forget(second)
    assert not index.must_wait("x.mp4")
    assert index.unclear() == {}


def test_a_recording_waits_for_one_that_is_being_copied() -> None:
    index = index_of(["x.mp4"], [])
    index.see(Found("x.dualface.yml", SIGNATURE, is_sidecar=True), settled=False)
    assert index.must_wait("x.mp4")
    assert index.unclear() == {}
    index.see(Found("x.dualface.yml", SIGNATURE, is_sidecar=True), settled=True)
    assert not index.must_wait("x.mp4")
    index.forget("x.mp4")
    index.forget("x.dualface.yml")
    assert index.keys() == set()
