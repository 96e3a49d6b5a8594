"""Rows: damage, incomplete recordings, and what is none."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.conformance import boxes, spoils
from tests.conformance.film import Film, Voice
from tests.conformance.judge import Heard
from tests.conformance.row import Row, track

_PARTIAL = "what can be read is delivered, the rest is named"
_FRONT = {"movflags": "+faststart"}
_PCM, _AAC = Voice("pcm_s16le"), Voice()
_P = {"bf": "0", "g": "12"}


def _row(name: str, what: str, happens: str, film: Film | None = None, **row: object) -> Row:
    return Row(f"damage-{name}", what, happens, film, **row)  # type: ignore[arg-type]


def _none(name: str, what: str, error: str, spoil: object, film: Film | None = None) -> Row:
    return _row(name, what, "failed, with an explanation", film, spoil=spoil, error=error)


def _text(path: Path) -> None:
    path.write_text("This is a shopping list.\n" * 100)


def _noise(path: Path) -> None:
    path.write_bytes(Random(1).randbytes(50_000))


def _with(before: bytes, after: bytes) -> object:
    return lambda path: path.write_bytes(before + path.read_bytes() + after) and None


def _without_header(path: Path) -> None:
    """Drop the index: a recorder that lost power."""
    boxes_left = [(kind, body) for kind, body in boxes.boxes(path.read_bytes()) if kind != b"moov"]
    path.write_bytes(b"".join((8 + len(body)).to_bytes(4, "big") + kind + body for kind, body in boxes_left))


def _lost_packets(path: Path) -> None:
    """Drop every fortieth packet of a transport stream: bad reception."""
    data = path.read_bytes()
    packets = [data[n : n + 188] for n in range(0, len(data), 188)]
    path.write_bytes(b"".join(p for n, p in enumerate(packets) if n < 20 or n % 40))


def _times(count: int) -> list[float]:
    return [n * 0.04 for n in range(count)]


ROWS = [
    _row("frames-zero", "Five frames overwritten with zeros", "others replace them, with a warning",
         Film(options=_P), spoil=boxes.spoiled("video", range(6, 11), boxes.zeros), look="none",
         warnings=["VIDEO_DAMAGED"]),
    _row("frames-noise", "Five frames of noise", "others replace them, with a warning", Film(options=_P),
         spoil=boxes.spoiled("video", range(6, 11), boxes.noise), look="none", warnings=["VIDEO_DAMAGED"]),
    *[_row(f"frames-noise-{name}", f"Five frames of noise in {name.upper()}",
           "others replace them, with a warning",
           Film(file, codec=codec, options=options, voices=(), bit_rate=bit_rate), look="none",
           spoil=boxes.spoiled("video", range(6, 11), boxes.noise), warnings=["VIDEO_DAMAGED"])
      for name, file, codec, options, bit_rate in (
          ("hevc", "a.mp4", "libx265", {"x265-params": "log-level=none:bframes=0"}, None),
          ("vp8", "a.webm", "libvpx", {}, 3_000_000),
          ("vp9", "a.webm", "libvpx-vp9", {}, 3_000_000),
          ("av1", "a.mkv", "libsvtav1", {"preset": "6", "crf": "5"}, None),
          ("mpeg-2", "a.mxf", "mpeg2video", {}, 4_000_000),
          ("mpeg-4", "a.avi", "mpeg4", {}, 4_000_000),
      )],
    _row("first-keyframe", "The first keyframe is noise", "the first good frame replaces it, with a warning",
         Film(options=_P),
         spoil=boxes.spoiled("video", range(1), boxes.noise), look="none", warnings=["VIDEO_DAMAGED"]),
    _row("intra-noise", "Five intra frames of noise: their neighbours stay whole", _PARTIAL,
         Film("a.mov", codec="prores_ks", pix_fmt="yuv422p10le", voices=(_PCM,)),
         spoil=boxes.spoiled("video", range(6, 11), boxes.noise), look="none", warnings=["VIDEO_DAMAGED"]),
    _row("audio-noise", "A third of the audio's packets are noise", _PARTIAL, Film("a.mkv", voices=(Voice("ac3"),)),
         spoil=boxes.spoiled("audio", range(20, 30), boxes.zeros), warnings=["AUDIO_DAMAGED"],
         heard=[track(0, Voice("ac3"), length_s=None)]),
    _row("audio-copied-noise", "Damaged AAC, which would be copied", _PARTIAL, Film(),
         spoil=boxes.spoiled("audio", range(30, 40), boxes.noise), warnings=["AUDIO_DAMAGED"],
         heard=[track(0, _AAC, length_s=None)]),
    _row("audio-lost", "Not one packet of the audio is whole", "delivered without it, with a warning",
         Film("a.mkv", voices=(Voice("flac", sample_format="s16"),)),
         spoil=boxes.spoiled("audio", None, boxes.zeros), warnings=["AUDIO_STREAM_EMPTY"], heard=[]),
    _row("audio-short", "Audio that ends 2 s before the video", "as in the recording, with a warning",
         Film("a.mkv", frames=75), warnings=["AUDIO_ENDS_EARLY"]),
    _row("video-short", "Video that ends 2 s before the audio", "as in the recording, with a warning",
         Film("a.mkv", voices=(Voice(length_s=3.0),)), warnings=["VIDEO_ENDS_EARLY"]),
    _row("audio-hole", "A hole of 1.5 s in the audio", "as in the recording, with a warning",
         Film("a.mkv", frames=75, voices=(Voice(length_s=3.0, holes_s=(1.0, 2.5)),)), warnings=["AUDIO_GAP"],
         heard=[track(0, _AAC, length_s=None)]),
    _row("cut-mp4", "MP4 with its index first, broken off in the middle", _PARTIAL,
         Film(frames=75, voices=(Voice(length_s=3.0),), options=_P, muxer=_FRONT), spoil=boxes.cut(0.5),
         look="none", warnings=["SOURCE_TRUNCATED", "AUDIO_DAMAGED"], more={"any_length": True},
         heard=[track(0, _AAC, length_s=None)]),
    _row("cut-mkv", "Matroska broken off in the middle", _PARTIAL,
         Film("a.mkv", frames=75, voices=(Voice(length_s=3.0),), options=_P), spoil=boxes.cut(0.5), look="none",
         warnings=["SOURCE_TRUNCATED"], more={"any_length": True}, heard=[track(0, _AAC, length_s=None)]),
    _row("cut-ts", "A transport stream broken off in the middle of a packet: it announces no length",
         "what there is, which is all that the file announces", Film("a.ts", frames=75, options=_P,
         voices=(Voice(length_s=3.0),)), spoil=boxes.cut(0.5), look="none", more={"any_length": True},
         heard=[track(0, _AAC, length_s=None)]),
    _row("cut-avi", "AVI broken off in the middle", _PARTIAL,
         Film("a.avi", codec="mpeg4", frames=75, voices=(Voice("pcm_s16le", length_s=3.0),), bit_rate=4_000_000),
         spoil=boxes.cut(0.5), look="none", warnings=["SOURCE_TRUNCATED"], more={"any_length": True},
         heard=[track(0, _PCM, length_s=None)]),
    _row("cut-flv", "FLV broken off in the middle", _PARTIAL,
         Film("a.flv", frames=75, options=_P, voices=(Voice(length_s=3.0),)), spoil=boxes.cut(0.5), look="none",
         warnings=["VIDEO_SHORTER_THAN_DECLARED", "AUDIO_DAMAGED"], more={"any_length": True},
         heard=[track(0, _AAC, length_s=None)]),
    _row("ts-lost-packets", "A transport stream of bad reception", _PARTIAL,
         Film("a.ts", options=_P | {"crf": "5"}, voices=()),
         spoil=_lost_packets, look="none", warnings=["VIDEO_DAMAGED"], more={"any_length": True}),
    _row("ts-garbage-first", "Noise before a transport stream", "the noise is skipped", Film("a.ts", options=_P),
         spoil=_with(Random(2).randbytes(1000), b"")),
    _row("mp4-garbage-after", "Noise behind an MP4", "the noise is left alone", Film(),
         spoil=_with(b"", Random(3).randbytes(5000))),
    _row("mp4-zeros-after", "Zeros behind an MP4, as preallocated files have", "the zeros are left alone", Film(),
         spoil=_with(b"", bytes(100_000))),
    _row("ts-glued", "Two transport streams glued together", "one after the other, video and audio together",
         Film("a.ts", options=_P, frames=48, voices=(Voice("mp2", length_s=1.92),)),
         spoil=lambda path: path.write_bytes(path.read_bytes() * 2) and None, times_s=_times(96),
         numbers=[*range(48), *range(48)], heard=[track(0, _AAC, length_s=3.84)]),
    _row("audio-changes", "Audio that changes from mono to stereo in the middle", "all of it is audible",
         Film("a.ts", voices=()), spoil=spoils.changing_audio, times_s=_times(96), numbers=[*range(48), *range(48)],
         heard=[Heard((frozenset({310}),), mixed=True, length_s=3.84)]),
    _none("empty", "An empty file", "EMPTY_FILE", lambda path: path.write_bytes(b"") and None),
    _none("text", "A text named .mp4", "NOT_MEDIA", _text),
    _none("noise", "Noise named .mp4", "NOT_MEDIA", _noise),
    _none("zeros", "Zeros named .mp4", "NOT_MEDIA", lambda path: path.write_bytes(bytes(50_000)) and None),
    _none("jpeg", "A JPEG photograph named .mp4", "STILL_IMAGE", spoils.photograph("mjpeg", "yuvj420p")),
    _none("png", "A PNG image named .mp4", "STILL_IMAGE", spoils.photograph("png", "rgb24")),
    _none("audio-only", "Audio without video", "NO_VIDEO", spoils.audio_only),
    _none("no-index", "MP4 whose index was never written", "TRUNCATED", _without_header, Film()),
    _none("cut-before-index", "MP4 broken off before its index", "TRUNCATED", boxes.cut(0.5), Film()),
    _none("all-frames", "Not one frame is whole", "DECODE_FAILED",
          boxes.spoiled("video", None, boxes.noise), Film("a.mov", codec="prores_ks", pix_fmt="yuv422p10le")),
]  # fmt: skip
