"""Sidecars are read by the service itself: any content leads to corrections or to an explained error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.config.settings import Settings
from daemon.jobs import sidecar
from daemon.jobs.job_spec import work_order
from pipeline.corrections import NO_CORRECTIONS, CorrectionsError
from tests.support.share import LEASE, claimed, drop, make_share

SETTINGS = Settings.model_validate({"profiles": {"quick": {"crf": 30}}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sidecar.yaml"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"swap: true\nprofile: none", "line 2: profile: there is no profile 'none', only archive, balanced, "),
        (b"a: 1\n" * 20_000, "larger than 64 KiB"),
        (b"swap: true\n# caf\xe9", "not UTF-8 text, line 2"),
        (b"swap: [", "line 1"),
        (b"[" * 60_000, "no valid YAML"),
        (b"swap: 2024-99-99", "no valid YAML"),
        (b"swap: \x00", "no valid YAML"),
        (b"pins: [{tile: left, from: 0, to: 1, crop: [.nan, 0, 99, 99]}]", "line 1"),
        (b"just words", "cannot be used"),
        (b"swap: true\nprofile: quick\nswap: false\n", "line 3: swap is named twice, first in line 1"),
        (b"pins:\n- {tile: left, from: 0,\n   to: 1, tile: right}", "line 3: tile is named twice"),
        (b"{\\rtf1\\ansi swap: true}", "sidecar.yaml is rich text, line 1"),
        (b"PK\x03\x04", "an office program"),
        (b"".join(b"k%d: 1\n" % n for n in range(4000)), "and more"),
    ],
)
def test_errors_are_explained(path: Path, content: bytes, expected: str) -> None:
    path.write_bytes(content)
    with pytest.raises(CorrectionsError) as caught:
        sidecar.read(path, SETTINGS)
    assert expected in caught.value.message
    assert len(caught.value.message) < 2000


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text("swap:tru[]{}&*!|>-\n ,\"'", max_size=60).map(str.encode))
def test_any_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        sidecar.read(path, SETTINGS)
    except CorrectionsError as error:
        assert error.message


def test_it_fills_the_order(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    plain = claimed(share, "x.mp4")
    assert work_order(SETTINGS, plain, LEASE).spec.corrections is NO_CORRECTIONS
    drop(share, "y.dualface.yaml", b"swap: true\nprofile: quick")
    spec = work_order(SETTINGS, claimed(share, "y.mp4"), LEASE).spec
    assert spec.corrections.swap
    assert (spec.profile_name, spec.profile.crf) == ("quick", 30)
