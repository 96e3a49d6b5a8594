"""Finds what is wrong with a result, which it reads with PyAV and compares with the recording's row, not its file."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from pipeline.job import JobResult
from tests.conformance import scene

Size = tuple[int, int]
Look = Literal["exact", "grey", "hdr", "none"]

TIME_S = 0.0015  # a frame's time against the recording's: the rounding of a time base of milliseconds
SYNC_S = 0.02  # the onset of each tone against the frame
LENGTH_S = 0.09  # of the audio: codecs fill their last frame
LEVELS = 14  # of 255 in each of red, green and blue, after a lossy source and a lossy result
FAINT = 0.1  # a tone this much weaker than the strongest of its track counts as missing
LEFT = 0.2  # of the frames of a recording that is cut in the middle must come out
LEAST_PLACES = 6  # that a frame must show of the recording's frame, in both tiles together
MARGIN = 0.012  # of the frame, that a place must keep from a crop's edge


@dataclass(frozen=True)
class Heard:
    """One audio track of the result: its tones in Hz, by channel or, with ``mixed``, in any of them; () where none is
    to be heard."""

    tones: tuple[frozenset[int], ...]
    mixed: bool = False
    onset_s: float = scene.BURST_S[0]
    length_s: float | None = 1.0


@dataclass(frozen=True)
class Expected:
    """What must come out. ``times_s``: of the frames, from the first on; ``numbers``: which frames those are."""

    times_s: Sequence[float]
    numbers: Sequence[int]
    heard: Sequence[Heard]
    warnings: Sequence[str] = ()
    look: Look = "exact"
    any_length: bool = False  # the recording is cut: times are judged as far as they go
    codec: str = "h264"
    matrices: Sequence[int] = (1, 5, 6, 2)
    transfers: Sequence[int] = (1, 2, 4, 5, 6, 7, 13)  # H.273; none of HDR
    metadata: dict[str, str] | None = None
    chapters: int = 0
    subtitles: int = 0
    languages: Sequence[str] | None = None


def troubles(result: JobResult, expected: Expected) -> Iterator[str]:
    """Everything that is wrong, one sentence each."""
    report = json.loads(result.files.report.read_bytes())
    yield from _warnings(report, expected)
    with av.open(str(result.files.video)) as out:
        yield from _description(out, expected)
        tracks = len(out.streams.audio)
    if tracks != len(expected.heard):
        yield f"{tracks} audio tracks instead of {len(expected.heard)}"
    shown = report["input"]["video"]
    origin_s = yield from _frames(result.files.video, result.files.tracks, (shown["width"], shown["height"]), expected)
    for number, heard in enumerate(expected.heard[:tracks]):
        yield from _track(result.files.video, number, heard, origin_s)


def _warnings(report: dict[str, Any], expected: Expected) -> Iterator[str]:
    got, wanted = Counter(w["code"] for w in report["warnings"]), Counter(expected.warnings)
    yield from (f"does not warn of {code}" for code in (wanted - got).elements())
    yield from (f"warns of {code}" for code in (got - wanted).elements())


def _description(out: av.container.InputContainer, expected: Expected) -> Iterator[str]:
    for key, value in (expected.metadata or {}).items():
        if not out.metadata.get(key, "").startswith(value):
            yield f"{key} is {out.metadata.get(key)!r} instead of {value!r}"
    if len(out.chapters()) != expected.chapters:
        yield f"{len(out.chapters())} chapters instead of {expected.chapters}"
    if len(out.streams.subtitles) != expected.subtitles:
        yield f"{len(out.streams.subtitles)} subtitle tracks instead of {expected.subtitles}"
    languages = [stream.language for stream in out.streams.audio]
    if expected.languages is not None and languages != list(expected.languages):
        yield f"languages {languages} instead of {list(expected.languages)}"


# -- the frame


def _frames(video: Path, tracks: Path, size: Size, expected: Expected) -> Generator[str, None, float]:
    """Judge times and look; returns the time of the first frame."""
    rows = [json.loads(line) for line in gzip.decompress(tracks.read_bytes()).splitlines()]
    times_s: list[float] = []
    bad: Counter[str] = Counter()
    with av.open(str(video)) as out:
        stream = out.streams.video[0]
        if (stream.codec_context.name, stream.width, stream.height) != (expected.codec, 1920, 1080):
            yield f"{stream.codec_context.name} of {stream.width}x{stream.height}"
        for place, frame in enumerate(out.decode(stream)):
            times_s.append(float(frame.pts * frame.time_base))
            if place < min(len(rows), len(expected.numbers)) and expected.look != "none":
                bad.update(set(_differences(frame, rows[place], size, expected.numbers[place], expected)))
        matrix, transfer = int(stream.codec_context.colorspace), int(stream.codec_context.color_trc)
    if matrix not in expected.matrices or transfer not in expected.transfers:
        yield f"tagged with matrix {matrix} and transfer {transfer}"
    yield from (f"{what} in {count} frames" for what, count in bad.items())
    is_cut = expected.any_length and len(times_s) >= LEFT * len(expected.times_s)
    wanted_s = expected.times_s[: len(times_s)] if is_cut else expected.times_s
    return (yield from _times(times_s, wanted_s))


def _times(got_s: list[float], wanted_s: Sequence[float]) -> Generator[str, None, float]:
    """Judge the frames' times; returns when the first one's is due.

    That one may be shown from the result's begin on, should the audio begin before it.
    """
    if len(got_s) != len(wanted_s):
        yield f"{len(got_s)} frames instead of {len(wanted_s)}"
    offsets_s = [got - wanted for got, wanted in zip(got_s, wanted_s, strict=False)]
    if not offsets_s:
        return 0.0
    due_s = float(np.median(offsets_s))
    off_s = max(abs(offset - due_s) for offset in offsets_s[1:] or offsets_s)
    if off_s > TIME_S or offsets_s[0] > due_s + TIME_S:
        yield f"a frame is {off_s * 1000:.0f} ms from its time"
    return due_s


def _differences(
    frame: av.VideoFrame, row: dict[str, Any], size: Size, number: int, expected: Expected
) -> Iterator[str]:
    matrix = int(frame.colorspace) if int(frame.colorspace) in scene.KR_KB else 1  # as players do at this size
    places = 0
    for side in ("left", "right"):
        for u, v, got in _seen(frame, row[side]["crop"], row.get("picture") or size, side, matrix):
            places += 1
            wanted = scene.colour_at(np.array(u), np.array(v), number)
            if not _alike(got, wanted, expected.look):
                what = "the number" if scene.BAND[0] <= v < scene.BAND[1] else "the colour"
                yield f"{what} is wrong in the {side} tile"
    if places < LEAST_PLACES:
        yield "too little of the recording is shown"


def _seen(
    frame: av.VideoFrame, crop: Sequence[float], size: Size, side: str, matrix: int
) -> Iterator[tuple[float, float, Any]]:
    """Places of the recording's frame that a tile shows, and their colours."""
    y, cb, cr = (np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes)
    (width, height), (x, top, w, h) = size, crop
    for u, v in scene.places():
        across, down = (u * width - x) / w, (v * height - top) / h
        if not (MARGIN < across < 1 - MARGIN and MARGIN < down < 1 - MARGIN):
            continue
        px, py = int(across * 960 + (960 if side == "right" else 0)), int(down * 1080)
        luma = float(y[py - 1 : py + 2, px - 1 : px + 2].mean())
        yield u, v, scene.rgb(
            np.array((luma - 16) / 219), np.array((float(cb[py // 2, px // 2]) - 128) / 224),
            np.array((float(cr[py // 2, px // 2]) - 128) / 224), matrix,
        )  # fmt: skip


def _alike(got: Any, wanted: Any, look: Look) -> bool:
    if look == "hdr":  # tone mapping moves levels, but neither which is the largest nor black and white
        flat = np.ptp(wanted) == 0
        return bool(abs(got.mean() - wanted.mean()) < 100) if flat else int(got.argmax()) == int(wanted.argmax())
    if look == "grey":
        wanted = np.full(3, wanted @ (0.299, 0.587, 0.114))
    return bool(np.abs(got - wanted).max() <= LEVELS)


# -- the audio


def _track(video: Path, number: int, heard: Heard, origin_s: float) -> Iterator[str]:
    samples, rate, begin_s = _decoded(video, number)
    where = f"audio track {number + 1}"
    if samples.size == 0:
        yield f"{where} is empty"
        return
    length_s = samples.shape[1] / rate
    if heard.length_s is not None and abs(length_s - heard.length_s) > LENGTH_S:
        yield f"{where} lasts {length_s:.3f} s instead of {heard.length_s:.3f} s"
    if not heard.tones:
        return
    onset_s = begin_s + _onset(samples, rate) - origin_s
    if abs(onset_s - heard.onset_s) > SYNC_S:
        yield f"{where} is heard {1000 * (onset_s - heard.onset_s):+.0f} ms from its place"
    first = int((heard.onset_s + origin_s - begin_s + 0.05) * rate)
    part = samples[:, max(0, first) : first + int(0.4 * rate)]
    if part.shape[1] < 0.2 * rate:
        yield f"{where} has no tone where it should be"
        return
    yield from _tones(part, rate, heard, where)


def _decoded(video: Path, number: int) -> tuple[Any, int, float]:
    """Samples (channels, count), rate and the time of the first."""
    with av.open(str(video)) as out:
        stream = out.streams.audio[number]
        resampler = av.AudioResampler("flt")  # PyAV miscounts the planes of eight channels
        parts: list[Any] = []
        begin_s: float | None = None
        for frame in out.decode(stream):
            begin_s = float(frame.pts * frame.time_base) if begin_s is None else begin_s
            channels = frame.layout.nb_channels
            parts += [even.to_ndarray().reshape(-1, channels).T for even in resampler.resample(frame)]
        rate = stream.codec_context.sample_rate
    return (np.concatenate(parts, 1) if parts else np.zeros((0, 0))), rate, begin_s or 0.0


def _onset(samples: Any, rate: int) -> float:
    """When the audio first reaches a fifth of its loudest."""
    envelope = np.abs(samples).max(0)
    return int(np.argmax(envelope > envelope.max() / 5)) / rate


def _tones(part: Any, rate: int, heard: Heard, where: str) -> Iterator[str]:
    spectrum = np.abs(np.fft.rfft(part * np.hanning(part.shape[1]), axis=1))
    spectra = [spectrum.max(0)] if heard.mixed else list(spectrum)
    wanted = [frozenset().union(*heard.tones)] if heard.mixed else list(heard.tones)
    if len(spectra) != len(wanted):
        yield f"{where} has {len(spectra)} channels instead of {len(wanted)}"
        return
    for channel, (levels, tones) in enumerate(zip(spectra, wanted, strict=True), start=1):
        missing = [hz for hz in sorted(tones) if _level(levels, hz, rate, part.shape[1]) < FAINT * levels.max()]
        if missing:
            yield f"{where}, channel {channel}: tones of {', '.join(map(str, missing))} Hz are missing"


def _level(levels: Any, hz: int, rate: int, count: int) -> float:
    place = round(hz * count / rate)
    return float(levels[max(0, place - 2) : place + 3].max())
