"""Measured loudness is in every outcome; on request it is what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from engines.audio.loudness import TRUE_PEAK_MAX_DBTP, Loudness
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import prescan
from engines.media.probe import probe
from pipeline.settings import ProfileSettings
from tests.support.assembly import remade
from tests.support.voices import Voices, record, tones

TOLERANCE_LU = 0.3
AAC_OVERSHOOT_DB = 1.5


def found(path: Path) -> Loudness:
    """What is measured of a file's first audio stream."""
    loudness = prescan(path, probe(path).audio, AudioPolicy()).tracks[0].loudness
    assert loudness is not None
    return loudness


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_a_tone_measures_as_ebu_says(tmp_path: Path, codec: str) -> None:
    """EBU Tech 3341, case 1: 1 kHz at -20 dBFS in both channels is -20 LUFS, steady."""
    source = record(tmp_path / "tone.mov", Voices([1000, 1000], "stereo", codec, amplitude=0.1))
    stream = remade(source, tmp_path / "out.mp4").streams[0]
    assert stream.loudness is not None
    assert stream.loudness.integrated_lufs == pytest.approx(-20, abs=TOLERANCE_LU)
    assert stream.loudness.true_peak_dbtp == pytest.approx(-20, abs=0.5 if codec == "pcm_s16le" else AAC_OVERSHOOT_DB)
    assert stream.loudness.range_lu < 0.5


@pytest.mark.parametrize(
    ("mode", "layout", "target"), [("auto", "stereo", -16.0), ("aac", "5.1", -23.0), ("aac-stereo", "mono", -30.0)]
)
def test_the_loudness_that_was_asked_for(tmp_path: Path, mode: str, layout: str, target: float) -> None:
    hz = {"mono": [500], "stereo": [500, 900], "5.1": [500, 700, 900, 60, 1100, 1300]}[layout]
    source = record(tmp_path / "quiet.mov", Voices(hz, layout, amplitude=0.02))
    outcome = remade(source, tmp_path / "out.mp4", audio=AudioPolicy(mode, target))  # type: ignore[arg-type]
    assert outcome.loudness is not None
    assert outcome.loudness.integrated_lufs == pytest.approx(target, abs=TOLERANCE_LU)
    assert found(tmp_path / "out.mp4").integrated_lufs == pytest.approx(target, abs=TOLERANCE_LU), "measured again"


def test_peaks_do_not_clip_on_the_way_to_a_target(tmp_path: Path) -> None:
    """Four tones peak 9 dB over their loudness; evenly turned up to the target they would clip."""
    source = record(tmp_path / "loud.mov", Voices(tones(4), amplitude=0.2))
    before = remade(source, tmp_path / "out.mp4").loudness
    assert before is not None and before.true_peak_dbtp + (-5.0 - before.integrated_lufs) > 0
    remade(source, tmp_path / "out.mp4", audio=AudioPolicy("aac", -5.0))
    measured = found(tmp_path / "out.mp4")
    assert measured.true_peak_dbtp <= TRUE_PEAK_MAX_DBTP + AAC_OVERSHOOT_DB
    assert measured.integrated_lufs > before.integrated_lufs - 0.5, "held back by its peaks alone"


def test_silence_stays_silence(tmp_path: Path) -> None:
    source = record(tmp_path / "silent.mov", Voices([0, 0], "stereo"))
    outcome = remade(source, tmp_path / "out.mp4", audio=AudioPolicy("aac", -23.0))
    assert (outcome.loudness, outcome.streams[0].packets > 50) == (None, True)


def test_copied_audio_cannot_have_another_loudness() -> None:
    with pytest.raises(ValidationError, match="audio: copy"):
        ProfileSettings(audio="copy", loudness_lufs=-23.0)
