"""Every accepted extension can be opened, also those of rare containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from daemon.config.settings import ScanSettings
from engines.media.probe import probe

PAL_DV = (720, 576)


@pytest.mark.parametrize(
    ("extension", "container", "codec"),
    [
        ("vob", "vob", "mpeg2video"),
        ("mod", "mpeg", "mpeg2video"),
        ("m2t", "mpegts", "mpeg2video"),
        ("mpv", "mpeg2video", "mpeg2video"),
        ("asf", "asf", "wmv2"),
        ("f4v", "f4v", "libx264"),
        ("3g2", "3g2", "mpeg4"),
        ("insv", "mp4", "libx264"),
        ("ogm", "ogg", "libvpx"),
        ("dv", "dv", "dvvideo"),
    ],
)
def test_an_extension_is_accepted_and_opens(extension: str, container: str, codec: str, tmp_path: Path) -> None:
    assert extension in ScanSettings().extensions
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    width, height = PAL_DV if codec == "dvvideo" else (160, 96)
    path = tmp_path / f"x.{extension}"
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    assert probe(path).video.height == height
