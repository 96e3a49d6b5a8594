"""Rows: containers, each with the video and audio that it usually holds."""

from __future__ import annotations

from fractions import Fraction

from tests.conformance.film import Film, Voice
from tests.conformance.row import FROM_PACKETS, Row, track
from tests.conformance.scene import BURST_S

_KEPT = "every frame at its time, the audio in place"
AAC = Voice()
MP3, MP2, OPUS = Voice("mp3"), Voice("mp2"), Voice("opus")
PCM, WMA, VORBIS = Voice("pcm_s16le"), Voice("wmav2", bit_rate=128_000), Voice("vorbis", options={"strict": "-2"})


def _row(name: str, film: Film, what: str, happens: str = _KEPT, **more: object) -> Row:
    return Row(f"container-{name}", what, happens, film, **more)  # type: ignore[arg-type]


def _mpeg2(name: str, **changes: object) -> Film:
    fields: dict[str, object] = {"codec": "mpeg2video", "voices": (MP2,), "bit_rate": 4_000_000} | changes
    return Film(name, **fields)  # type: ignore[arg-type]


ROWS = [
    _row("mp4", Film("a.mp4"), "MP4, index at the end"),
    _row("mp4-faststart", Film("a.mp4", muxer={"movflags": "+faststart"}), "MP4, index first"),
    _row("mp4-fragmented", Film("a.mp4", muxer={"movflags": "frag_keyframe+delay_moov"}), "MP4 in fragments"),
    _row("ismv", Film("a.mp4", format="ismv"), "Smooth Streaming, which cannot say how much an AAC encoder prepends",
         "the audio as late as in the recording, by 21 ms", heard=[track(0, AAC, onset_s=BURST_S[0] + 1024 / 48_000)]),
    _row("m4v", Film("a.m4v", format="mp4"), "MP4 named .m4v"),
    _row("mov", Film("a.mov", voices=(PCM,)), "QuickTime with PCM"),
    _row("mov-aac", Film("a.mov"), "QuickTime with AAC"),
    _row("3gp", Film("a.3gp", codec="h263", width=352, height=288, voices=()), "3GPP of an old phone, no audio"),
    _row("3g2", Film("a.3g2", format="3g2"), "3GPP2"),
    _row("f4v", Film("a.f4v", format="f4v"), "Flash video in MP4"),
    _row("mkv", Film("a.mkv"), "Matroska"),
    _row("mkv-live", Film("a.mkv", muxer={"live": "1"}), "Matroska of a live recorder: no duration, no index"),
    _row("webm-vp8", Film("a.webm", codec="libvpx", voices=(VORBIS,), bit_rate=3_000_000), "WebM"),
    _row("webm-vp9", Film("a.webm", codec="libvpx-vp9", voices=(OPUS,), bit_rate=3_000_000), "WebM of a browser"),
    _row("avi", Film("a.avi", codec="mpeg4", voices=(PCM,), bit_rate=4_000_000), "AVI"),
    _row("avi-mp3", Film("a.avi", codec="mpeg4", voices=(MP3,), bit_rate=4_000_000),
         "AVI with MP3, whose encoder's delay it cannot say", "the audio as late as in the recording, by 23 ms",
         times_s=FROM_PACKETS, heard=[track(0, MP3, onset_s=BURST_S[0] + 1105 / 48_000)]),
    _row("avi-h264", Film("a.avi", voices=(PCM,), options={"bf": "0"}), "AVI with H.264, which it was not made for"),
    _row("ts", Film("a.ts"), "MPEG transport stream"),
    _row("m2ts", Film("a.m2ts", voices=(Voice("ac3"),)), "Blu-ray and AVCHD transport stream"),
    _row("mpg", _mpeg2("a.mpg"), "MPEG program stream"),
    _row("vob", _mpeg2("a.vob", voices=(Voice("ac3"),), width=352, height=288), "DVD"),
    _row("mod", _mpeg2("a.mod", format="mpeg"), "MPEG of a hard-disk camcorder"),
    _row("flv", Film("a.flv"), "Flash video"),
    _row("mxf", _mpeg2("a.mxf", voices=(PCM,), options={"bf": "0"}), "MXF OP1a"),
    _row("mxf-dnxhd", Film("a.mxf", codec="dnxhd", width=1280, height=720, pix_fmt="yuv422p", voices=(PCM,),
                           options={"profile": "dnxhr_sq"}, matrix=1), "MXF with DNxHR"),
    _row("gxf", Film("a.gxf", codec="mpeg2video", width=720, height=576, voices=(Voice("pcm_s16le", "mono"),),
                     bit_rate=8_000_000), "GXF of a video server, its audio padded to whole blocks",
         "as in the recording: the audio 40 ms early, and padded", times_s=FROM_PACKETS,
         heard=[track(0, Voice("pcm_s16le", "mono"), onset_s=BURST_S[0] - 0.04, length_s=65_536 / 48_000)],
         warnings=["DATA_STREAMS_DROPPED"]),
    _row("asf", Film("a.asf", codec="msmpeg4", voices=(WMA,), bit_rate=4_000_000), "ASF"),
    _row("wmv", Film("a.wmv", codec="wmv2", voices=(WMA,), bit_rate=4_000_000), "Windows Media"),
    _row("ogv", Film("a.ogv", codec="libvpx", voices=(VORBIS,), bit_rate=3_000_000), "Ogg"),
    _row("nut", Film("a.nut", codec="ffv1", voices=(PCM,)), "NUT"),
    _row("dv", Film("a.dv", codec="dvvideo", width=720, height=576, pix_fmt="yuv420p", voices=(PCM,),
                    interlaced="bff", aspect=Fraction(16, 15)), "Tape camera's DV"),
    _row("rm", Film("a.rm", codec="rv20", width=352, height=288, voices=(), bit_rate=3_000_000), "RealMedia, no audio"),
    _row("wtv", _mpeg2("a.wtv"), "Recorded by Windows Media Center"),
    _row("swf", Film("a.swf", codec="flv", voices=(), bit_rate=3_000_000), "Shockwave Flash, no audio"),
    _row("y4m", Film("a.y4m", codec="rawvideo", voices=()), "YUV4MPEG, no audio"),
    _row("ivf", Film("a.ivf", codec="libvpx-vp9", voices=(), bit_rate=3_000_000), "IVF, no audio"),
    _row("h264-raw", Film("a.h264", format="h264", voices=(), options={"bf": "0"}), "H.264 without a container"),
    _row("gif", Film("a.gif", codec="gif", pix_fmt="rgb8", voices=()), "Animated GIF", look="none"),
    _row("misnamed-mkv", Film("a.mp4", format="matroska"), "Matroska named .mp4"),
    _row("misnamed-ts", Film("a.mov", format="mpegts"), "Transport stream named .mov"),
    _row("misnamed-avi", Film("a.mkv", format="avi", codec="mpeg4", voices=(PCM,), bit_rate=4_000_000),
         "AVI named .mkv"),
]  # fmt: skip
