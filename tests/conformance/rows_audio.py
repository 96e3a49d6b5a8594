"""Rows: audio codecs, layouts, rates and numbers of streams."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.film import Film, Voice
from tests.conformance.judge import Heard
from tests.conformance.row import Row, heard_of, mixed, track

_KEPT = "copied as it is"
_AAC = "encoded as AAC, each channel in its place"
_MIXED = "mixed: every channel is audible in the first track"


def _row(
    name: str, what: str, happens: str, *voices: Voice, file: str = "a.mov", heard: Sequence[Heard] | None = None,
    **more: object,
) -> Row:  # fmt: skip
    return Row(f"audio-{name}", what, happens, Film(file, voices=voices), heard=heard, **more)  # type: ignore[arg-type]


def _pcm(channels: int) -> Voice:
    return Voice("pcm_s16le", channels)


def _discrete(channels: int) -> Row:
    voice = _pcm(channels)
    what = f"PCM of {channels} channels without a layout, of a recorder or mixer"
    return _row(f"pcm-{channels}", what, _MIXED, voice, heard=[mixed((0, voice))])


_FOUR = tuple(Voice("pcm_s16le", "mono") for _ in range(4))
_TONGUES = (Voice(language="kor"), Voice(language="eng"))

ROWS = [
    _row("none", "No audio", "no audio"),
    _row("aac-mono", "AAC mono", _KEPT, Voice(layout="mono"), file="a.mp4"),
    _row("aac-51", "AAC 5.1", _KEPT, Voice(layout="5.1", bit_rate=384_000), file="a.mp4"),
    _row("aac-71", "AAC 7.1", _KEPT, Voice(layout="7.1", bit_rate=512_000), file="a.mp4"),
    _row("aac-441", "AAC 44.1 kHz", _KEPT, Voice(rate=44_100), file="a.mp4"),
    _row("aac-22", "AAC 22.05 kHz", _KEPT, Voice(rate=22_050), file="a.mp4"),
    _row("aac-96", "AAC 96 kHz", _KEPT, Voice(rate=96_000), file="a.mp4"),
    _row("aac-adts", "AAC with ADTS headers in a transport stream", _KEPT, Voice(), file="a.ts"),
    _row("mp3", "MP3", _AAC, Voice("mp3"), file="a.mp4"),
    _row("mp3-mono-22", "MP3 mono, 22.05 kHz", _AAC, Voice("mp3", "mono", rate=22_050), file="a.mkv"),
    _row("mp2", "MP2", _AAC, Voice("mp2"), file="a.ts"),
    _row("ac3", "AC-3 stereo", _AAC, Voice("ac3"), file="a.mp4"),
    _row("ac3-51", "AC-3 5.1", _AAC, Voice("ac3", "5.1(side)", bit_rate=448_000), file="a.mkv"),
    _row("eac3", "E-AC-3", _AAC, Voice("eac3"), file="a.mp4"),
    _row("opus", "Opus", _AAC, Voice("opus"), file="a.mkv"),
    _row("opus-mono", "Opus mono of a meeting", _AAC, Voice("opus", "mono"), file="a.webm-h264.mkv"),
    _row("opus-mp4", "Opus in MP4", _AAC, Voice("opus"), file="a.mp4"),
    _row("vorbis", "Vorbis", _AAC, Voice("vorbis", options={"strict": "-2"}), file="a.mkv"),
    _row("flac", "FLAC", _AAC, Voice("flac", sample_format="s16"), file="a.mkv"),
    _row("flac-mp4", "FLAC in MP4", _AAC, Voice("flac", sample_format="s16", options={"strict": "-2"}), file="a.mp4"),
    _row("alac", "Apple Lossless", _AAC, Voice("alac", sample_format="s16p")),
    _row("tta", "True Audio", _AAC, Voice("tta", sample_format="s16"), file="a.mkv"),
    _row("wavpack", "WavPack", _AAC, Voice("wavpack", sample_format="s16p"), file="a.mkv"),
    _row("pcm-s16", "PCM, 16 bits", _AAC, Voice("pcm_s16le")),
    _row("pcm-s16be", "PCM, 16 bits, big-endian", _AAC, Voice("pcm_s16be")),
    _row("pcm-s24", "PCM, 24 bits", _AAC, Voice("pcm_s24le")),
    _row("pcm-s32", "PCM, 32 bits", _AAC, Voice("pcm_s32le")),
    _row("pcm-f32", "PCM, 32-bit float", _AAC, Voice("pcm_f32le")),
    _row("pcm-u8", "PCM, 8 bits", _AAC, Voice("pcm_u8"), file="a.avi"),
    _row("pcm-mulaw", "G.711 mu-law of a telephone", _AAC, Voice("pcm_mulaw", "mono", rate=8000)),
    _row("pcm-alaw", "G.711 A-law", _AAC, Voice("pcm_alaw", "mono", rate=8000), file="a.avi"),
    _row("adpcm-ima", "IMA ADPCM", _AAC, Voice("adpcm_ima_qt"), file="a.mov"),
    _row("adpcm-ms", "Microsoft ADPCM", _AAC, Voice("adpcm_ms"), file="a.avi"),
    _row("pcm-32k", "PCM, 32 kHz", _AAC, Voice("pcm_s16le", rate=32_000)),
    _row("pcm-11k", "PCM, 11.025 kHz", _AAC, Voice("pcm_s16le", "mono", rate=11_025)),
    _row("pcm-96k", "PCM, 96 kHz", _AAC, Voice("pcm_s24le", rate=96_000)),
    _row("pcm-192k", "PCM, 192 kHz: brought to a rate that AAC has", _AAC, Voice("pcm_s24le", rate=192_000)),
    _row("pcm-51", "PCM 5.1 that names its LFE", _AAC, Voice("pcm_s16le", "5.1")),
    _row("pcm-mono", "PCM mono", _AAC, Voice("pcm_s16le", "mono")),
    *[_discrete(channels) for channels in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 18, 20, 32)],
    _row("mono-tracks-mov", "Four mono microphones in four streams", _MIXED + ", and each in its own", *_FOUR,
         heard=[mixed(*enumerate(_FOUR)), *heard_of(_FOUR)]),
    Row("audio-mono-tracks-mxf", "Four mono microphones in MXF", _MIXED + ", and each in its own",
        Film("a.mxf", codec="mpeg2video", bit_rate=5_000_000, voices=_FOUR),
        heard=[mixed(*enumerate(_FOUR)), *heard_of(_FOUR)]),
    _row("two-tongues", "Two streams in two languages", "both kept, with their languages", *_TONGUES, file="a.mkv",
         more={"languages": ["kor", "eng"]}),
    _row("late-stream", "A stream that begins 0.1 s after the video", "in its place",
         Voice("pcm_s16le", from_s=0.1, length_s=0.9), heard=[track(0, Voice("pcm_s16le"), length_s=None)]),
]  # fmt: skip
