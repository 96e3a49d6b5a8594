"""Every channel is audible in the first track, at a stated level: each has a tone of its own."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10, sqrt
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.audio.outcome import AudioOutcome
from engines.audio.policy import AudioMode, AudioPolicy
from engines.media.probe import probe
from tests.support.assembly import remade
from tests.support.voices import AMPLITUDE, RATE, Voices, record, tones

LEVEL_TOLERANCE_DB = 1.0  # of AAC
GONE_DBFS = -70.0


def levels_dbfs(path: Path, tones_hz: Sequence[float], track: int = 0) -> NDArray[np.float64]:
    """The amplitude of each tone (row) in each channel (column) of a track."""
    with av.open(str(path)) as out:
        stream = out.streams.audio[track]
        channels, blocks = stream.codec_context.channels, []
        packed = av.AudioResampler(format="flt")
        for frame in out.decode(stream):
            blocks += [even.to_ndarray() for even in packed.resample(frame)]
    wave = np.concatenate(blocks, axis=1).reshape(-1, channels)[RATE // 4 : RATE // 4 + RATE]
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(RATE)[:, None], axis=0)) * 4 / RATE
    found = [spectrum[round(hz) - 2 : round(hz) + 3].max(axis=0) for hz in tones_hz]
    return 20 * np.log10(np.maximum(found, 1e-9))


def delivered(tmp_path: Path, suffix: str, *streams: Voices, mode: AudioMode = "auto") -> AudioOutcome:
    source = record(tmp_path / f"source.{suffix}", *streams)
    outcome = remade(source, tmp_path / "out.mp4", audio=AudioPolicy(mode))
    assert outcome.skipped_packets == 0
    with av.open(str(tmp_path / "out.mp4")) as out:
        found = [(s.codec_context.layout.name, s.codec_context.channels) for s in out.streams.audio]
    assert found == [(s.layout, s.channels) for s in outcome.streams]
    return outcome


def tones_with_bass(names: Sequence[str]) -> list[float]:
    return [60.0 if name == "LFE" else tone for name, tone in zip(names, tones(len(names)), strict=True)]


@pytest.mark.parametrize(
    ("suffix", "count"),
    [
        ("mov", 3),
        ("mkv", 4),
        ("mxf", 4),
        ("mov", 6),
        ("mkv", 7),
        ("mov", 8),
        ("mov", 9),
        ("mov", 13),
        ("mkv", 16),
        ("mov", 32),
        ("mov", 64),
    ],
)
def test_channels_without_names_are_all_heard_equally(tmp_path: Path, suffix: str, count: int) -> None:
    stream = delivered(tmp_path, suffix, Voices(tones(count))).streams[0]
    assert (stream.mode, stream.rule, stream.layout) == ("transcoded", "discrete", "stereo")
    levels = levels_dbfs(tmp_path / "out.mp4", tones(count))
    assert stream.gain_db is not None and stream.gain_db <= 0
    assert levels == pytest.approx(20 * log10(AMPLITUDE) + stream.gain_db, abs=LEVEL_TOLERANCE_DB)
    assert stream.loudness is not None and stream.loudness.true_peak_dbtp <= -0.9, "the sum does not clip"


def test_a_mix_is_attenuated_no_more_than_its_peak_requires(tmp_path: Path) -> None:
    stream = delivered(tmp_path, "mov", Voices([400, 500, *[0] * 11])).streams[0]
    assert stream.gain_db == 0
    assert levels_dbfs(tmp_path / "out.mp4", [400, 500]) == pytest.approx(-20, abs=LEVEL_TOLERANCE_DB)


@pytest.mark.parametrize(
    ("suffix", "layout", "result"),
    [
        ("mov", "mono", "mono"),
        ("mov", "stereo", "stereo"),
        ("mkv", None, "stereo"),
        ("mov", "3.0", "3.0"),
        ("mov", "5.0", "5.0"),
        ("mov", "5.1", "5.1"),
        ("mov", "5.1(side)", "5.1"),
        ("mov", "7.1", "7.1"),
    ],
)
def test_layouts_that_aac_has_are_kept(tmp_path: Path, suffix: str, layout: str | None, result: str) -> None:
    """Each tone stays in its channel; that of LFE is bass."""
    names = [channel.name for channel in av.AudioLayout(layout or "stereo").channels]
    voices = Voices(tones_with_bass(names), layout)
    stream = delivered(tmp_path, suffix, voices).streams[0]
    assert (stream.rule, stream.layout, stream.gain_db) == ("kept", result, None)
    levels = levels_dbfs(tmp_path / "out.mp4", voices.tones_hz)
    assert np.diagonal(levels) == pytest.approx(-20, abs=LEVEL_TOLERANCE_DB)
    assert levels[~np.eye(len(names), dtype=bool)].max(initial=-200) < GONE_DBFS


@pytest.mark.parametrize("layout", ["2.1", "quad", "6.1", "7.0"])
def test_other_named_layouts_become_stereo_by_position(tmp_path: Path, layout: str) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    voices = Voices(tones_with_bass(names), layout)
    stream = delivered(tmp_path, "mov", voices).streams[0]
    assert (stream.rule, stream.layout) == ("positions", "stereo")
    for name, (left, right) in zip(names, levels_dbfs(tmp_path / "out.mp4", voices.tones_hz), strict=True):
        heard = -20 + (0 if name in ("FL", "FR") else 20 * log10(sqrt(0.5)))
        assert max(left, right) == pytest.approx(heard + (stream.gain_db or 0), abs=LEVEL_TOLERANCE_DB), name
        if name[-1] == "L":
            assert right < GONE_DBFS
        elif name[-1] == "R":
            assert left < GONE_DBFS
        else:
            assert left == pytest.approx(right, abs=LEVEL_TOLERANCE_DB)


def test_a_microphone_in_the_channel_named_lfe_is_heard(tmp_path: Path) -> None:
    """Recorders and editing programs name six channels 5.1 because there are six."""
    voices = Voices(tones(6), "5.1")
    stream = delivered(tmp_path, "mov", voices).streams[0]
    assert (stream.rule, stream.layout) == ("discrete", "stereo")
    assert levels_dbfs(tmp_path / "out.mp4", voices.tones_hz) == pytest.approx(-20, abs=LEVEL_TOLERANCE_DB)


def test_microphones_in_tracks_of_their_own_are_mixed_into_the_first(tmp_path: Path) -> None:
    """The originals follow; each stream of the source is named."""
    hz = tones(4)
    outcome = delivered(tmp_path, "mxf", *(Voices([tone]) for tone in hz))
    assert [stream.sources for stream in outcome.streams] == [(1, 2, 3, 4), (1,), (2,), (3,), (4,)]
    assert outcome.streams[0].rule == "mixed"
    assert levels_dbfs(tmp_path / "out.mp4", hz) == pytest.approx(-20, abs=LEVEL_TOLERANCE_DB)
    for number in range(4):
        level = levels_dbfs(tmp_path / "out.mp4", hz, track=number + 1)[:, 0]
        assert level[number] == pytest.approx(-20, abs=LEVEL_TOLERANCE_DB)
        assert np.delete(level, number).max() < GONE_DBFS
    with av.open(str(tmp_path / "out.mp4")) as out:
        defaults = [bool(stream.disposition & av.stream.Disposition.default) for stream in out.streams.audio]
    assert defaults == [True, False, False, False, False]


def test_copied_microphones_follow_their_mix(tmp_path: Path) -> None:
    outcome = delivered(tmp_path, "mov", Voices([400], "mono", "aac"), Voices([700], "mono", "aac"))
    assert [stream.mode for stream in outcome.streams] == ["transcoded", "copied", "copied"]
    assert levels_dbfs(tmp_path / "out.mp4", [400, 700]) == pytest.approx(-20, abs=LEVEL_TOLERANCE_DB)


def test_languages_are_not_mixed(tmp_path: Path) -> None:
    voices = [Voices([400], "mono", language="kor"), Voices([700], "mono", language="eng")]
    outcome = delivered(tmp_path, "mkv", *voices)
    assert [stream.sources for stream in outcome.streams] == [(1,), (2,)]


@pytest.mark.parametrize(("layout", "count"), [("mono", 1), ("stereo", 2), ("5.1", 6), (None, 1), (None, 5)])
def test_everything_becomes_stereo_on_request(tmp_path: Path, layout: str | None, count: int) -> None:
    names = [channel.name for channel in av.AudioLayout(layout or f"{count} channels").channels]
    voices = Voices(tones_with_bass(names), layout)
    stream = delivered(tmp_path, "mov", voices, mode="aac-stereo").streams[0]
    assert stream.layout == "stereo"
    assert levels_dbfs(tmp_path / "out.mp4", voices.tones_hz).max(axis=1).min() > -20 - 3 - LEVEL_TOLERANCE_DB


def test_the_sources_of_these_tests_have_the_intended_layouts(tmp_path: Path) -> None:
    """Otherwise the tests above would test something else."""
    assert probe(record(tmp_path / "a.mov", Voices(tones(6)))).audio[0].channel_labels is None
    named = probe(record(tmp_path / "b.mov", Voices(tones(6), "5.1"))).audio[0].channel_labels
    assert named is not None and "LFE" in named
