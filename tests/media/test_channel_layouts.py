"""Audio that names its channels: each one arrives in its place, and no heap is corrupted on the way."""

from __future__ import annotations

import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines.audio.outcome import AudioOutcome
from engines.audio.output import AudioOutput
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import prescan
from engines.containers.channel_layouts import Labels, native_labels
from engines.containers.demux import open_media, open_with_channel_labels
from engines.media.probe import probe
from tests.hostile import layouts
from tests.hostile.allocators import checking_allocators, run_checked
from tests.support.layout_boxes import NAMES, ORDERS, RATE, chan, named

TONES_HZ = {
    "FL": 500, "FR": 800, "FC": 1100, "LFE": 60, "SL": 1400, "SR": 1700, "BL": 2000, "BR": 2300, "BC": 2600,
    "FLC": 2900, "FRC": 3200,
}  # fmt: skip
ALLOCATORS = ["glibc", pytest.param("asan", marks=pytest.mark.skipif(
    "asan" not in checking_allocators(), reason="AddressSanitizer comes with a C compiler"))]  # fmt: skip


def tones(labels: Labels, length_s: float = 0.5) -> np.ndarray:
    """For each channel the tone of its label."""
    time = np.arange(round(length_s * RATE)) / RATE
    return np.array([9000 * np.sin(2 * np.pi * TONES_HZ[label] * time) for label in labels]).astype(np.int16)


def labels_of(path: Path) -> Labels | None:
    container, labels = open_with_channel_labels(path)
    with container:
        stream = container.streams.audio[0]
        return labels.get(stream.index) or native_labels(stream)


def delivered(source: Path, target: Path) -> AudioOutcome:
    with open_media(source) as audio, av.open(str(target), "w") as out:
        pump = AudioOutput(source, audio, prescan(source, probe(source).audio, AudioPolicy()), out, Fraction(0))
        for _, packet in pump.packets():
            out.mux(packet)
    return pump.outcome


def loudest_hz(path: Path) -> dict[str, float]:
    """What each channel of a delivered track mostly holds."""
    with av.open(str(path)) as out:
        labels = [channel.name for channel in out.streams.audio[0].codec_context.layout.channels]
        packed = av.AudioResampler(format="flt")  # PyAV reads beyond the planes of eight channels
        blocks = [even.to_ndarray() for frame in out.decode(audio=0) for even in packed.resample(frame)]
    wave = np.concatenate(blocks, axis=1).reshape(-1, len(labels)).T[:, 4800:19200]
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(wave.shape[1])))
    return dict(zip(labels, (spectrum.argmax(axis=1) * RATE / wave.shape[1]).tolist(), strict=True))


@pytest.mark.parametrize("tag", ORDERS)
def test_the_order_that_a_tag_means(tmp_path: Path, tag: int) -> None:
    labels = tuple(ORDERS[tag].split())
    assert labels_of(named(tmp_path / "x.mov", np.zeros((len(labels), 480), np.int16), chan(tag))) == labels


@pytest.mark.parametrize("name", NAMES)
def test_every_box_that_names_channels(tmp_path: Path, name: str) -> None:
    labels = labels_of(named(tmp_path / name, np.zeros((6, 480), np.int16), NAMES[name]))
    if name == "discrete.mov":
        assert labels is None
    else:
        assert labels is not None
        middle = {"bitmap.mov": 2, "wave.mov": 4}.get(name, 0)
        assert labels.index("FC") == middle
        assert set(labels) in ({"FL", "FR", "FC", "LFE", "SL", "SR"}, {"FL", "FR", "FC", "LFE", "BL", "BR"})


@pytest.mark.parametrize("tag", [t for t in ORDERS if t >> 16 in (114, 118, 119, 120, 122, 123, 124, 128)])
def test_each_channel_is_delivered_in_its_place(tmp_path: Path, tag: int) -> None:
    labels = tuple(ORDERS[tag].split())
    source = named(tmp_path / "in.mov", tones(labels), chan(tag))
    outcome = delivered(source, tmp_path / "out.mp4")
    assert outcome.mode == "transcoded"
    assert outcome.skipped_packets == 0
    heard = loudest_hz(tmp_path / "out.mp4")
    rear = {"BL": "SL", "BR": "SR"} if "BL" not in labels else {}  # AAC's 5.1 calls the sides back
    assert len(heard) == len(labels)
    for label, tone_hz in heard.items():
        assert tone_hz == pytest.approx(TONES_HZ[rear.get(label, label)], abs=7), label


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_the_checking_allocator_catches_what_pyav_does(tmp_path: Path, allocator: str) -> None:
    """Without ``open_media``. Should this fail with a new PyAV, then it no longer does, and ``_never_freed`` can go."""
    path = named(tmp_path / "x.mov", np.zeros((8, 4800), np.int16), chan(128 << 16 | 8))
    code = f"import av; c = av.open({str(path)!r}); c.streams.audio[0].codec_context.channels; c.close()"
    assert run_checked(["-c", code], allocator, 60).returncode == -signal.SIGABRT


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_spoiled_layouts_corrupt_no_heap(allocator: str) -> None:
    count = 150
    done = run_checked(["-m", "tests.hostile.layouts", "--count", str(count), "--seed", "2026"], allocator, 300)
    assert (done.returncode, done.stderr) == (0, "")
    ends = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert len(ends) == count
    assert {"1 packets", "NoVideoError"} <= set(ends)


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_frames_with_an_order_of_their_own_are_decoded_safely(tmp_path: Path, allocator: str) -> None:
    """As a codec makes them that reads the order from its own stream; here from a file that was opened otherwise."""
    path = named(tmp_path / "x.mov", np.zeros((8, 48_000), np.int16), chan(128 << 16 | 8))
    code = f"""
import av
from engines.containers.channel_layouts import decode
with av.open({str(path)!r}) as c:
    s = c.streams.audio[0]
    frames = [f for p in c.demux(s) for f in decode(s, p)]
    print(frames[0].layout.name, sum(f.samples for f in frames))
"""
    done = run_checked(["-c", code], allocator, 60)
    assert done.stdout.split() == ["8", "channels", "(FL+FR+FC+LFE+SL+SR+BL+BR)", "48000"]
    assert done.returncode == 0


def test_a_mutant_is_the_same_each_time() -> None:
    assert layouts.mutant(7, 11) == layouts.mutant(7, 11)
    assert layouts.mutant(7, 11) != layouts.mutant(7, 12)
